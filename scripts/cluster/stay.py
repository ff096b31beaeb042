"""A namespace of its own: made for a stay, and removed at its end with all that is in it."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from cluster import objects
from cluster.errors import ClusterError
from cluster.rendering import Json

if TYPE_CHECKING:
    from cluster.api import Cluster

_PAUSE = 1.0
_UNTOUCHED = 60.0  # seconds after which a namespace that no controller has looked at never will be


class Stay:
    """Makes and removes one namespace; one that was there before is never touched."""

    def __init__(self, cluster: "Cluster", namespace: str, say: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._say = say
        self._made = False

    def begin(self) -> None:
        """Makes the namespace.

        Raises:
            ClusterError: It exists, or may not be made.
        """
        try:
            self._cluster.create(objects.namespace(self._namespace))
        except ClusterError as error:
            if error.status == 409:
                message = f"the namespace {self._namespace} exists already; name another"
                raise ClusterError(409, message) from error
            raise
        self._made = True
        self._say(f"made namespace {self._namespace}")

    def end(self, documents: Sequence[Json], seconds: float) -> bool:
        """Removes everything again, and waits for that.

        Args:
            documents: What was made in it; removed one by one, because only a controller empties
                a namespace, and a bare API server has none.
            seconds: To wait at most.

        Returns:
            Whether nothing is left. What could not be removed is told.
        """
        if not self._made:
            return True
        self._say(f"removing namespace {self._namespace}")
        try:
            for document in documents:
                self._remove(document)
            self._cluster.delete("v1", "Namespace", self._namespace, None)
            start = time.monotonic()
            while found := self._cluster.get("v1", "Namespace", self._namespace, None):
                why = why_not_gone(found, time.monotonic() - start, seconds)
                if why:
                    self._say(why)
                    return False
                time.sleep(_PAUSE)
        except ClusterError as error:
            self._say(f"the namespace {self._namespace} could not be removed: {error}")
            return False
        self._say(f"removed namespace {self._namespace}")
        return True

    def _remove(self, document: Json) -> None:
        kind, name = document["kind"], document["metadata"]["name"]
        try:
            self._cluster.delete(document["apiVersion"], kind, name, self._namespace)
        except ClusterError as error:
            if error.status != 404:  # a kind that is not known was not made either
                raise


def why_not_gone(namespace: Json, passed: float, seconds: float) -> str:
    """Why a namespace that is being removed will not be waited for any longer; empty if it will.

    Args:
        namespace: As the cluster has it.
        passed: Seconds since its removal was asked for.
        seconds: To wait at most.
    """
    name = namespace["metadata"]["name"]
    if passed > _UNTOUCHED and not namespace.get("status", {}).get("conditions"):
        return (
            f"what was made in the namespace {name} is removed, but not the namespace: this "
            "cluster has no controller manager at work, whose part that is"
        )
    if passed > seconds:
        return (
            f"the namespace {name} is still there after {seconds:.0f} s: "
            f"kubectl get namespace {name} -o yaml says why"
        )
    return ""
