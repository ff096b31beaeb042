"""What a check has at hand: the cluster, what is deployed there, and ways to look at it."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cluster import objects
from cluster.bundle import bundle
from cluster.deployed import Deployed
from cluster.errors import ClusterError, TooSlow
from cluster.rendering import Json

if TYPE_CHECKING:  # so that judging needs no Kubernetes client
    from cluster.api import Cluster
    from cluster.pods import Pods

_PAUSE = 1.0


@dataclass(frozen=True)
class Site:
    """One deployment in a namespace of its own.

    Attributes:
        cluster: Its API.
        pods: Of the namespace.
        documents: What is deployed, as applied.
        deployed: Names and numbers of it.
        namespace: Where.
        image: What the pods run.
        key: The one that opens the door.
        model: The name of a model that is served.
        patience: Seconds that anything may take.
        rate: Explanations per second of the steady load.
        say: Tells the person at the terminal how far it is.
    """

    cluster: "Cluster"
    pods: "Pods"
    documents: Sequence[Json]
    deployed: Deployed
    namespace: str
    image: str
    key: str
    model: str
    patience: float
    rate: float
    say: Callable[[str], None]

    @property
    def bearer(self) -> dict[str, str]:
        """The header that opens the door."""
        return {"Authorization": f"Bearer {self.key}"}

    def serving_pods(self) -> list[Json]:
        """All pods of the deployment, those that are ending too."""
        return self.cluster.list("v1", "Pod", self.namespace, self.deployed.selector)

    def ready_pods(self) -> list[Json]:
        """Those that requests go to."""
        return [pod for pod in self.serving_pods() if is_ready(pod) and not is_ending(pod)]

    def service_address(self) -> tuple[str, int]:
        """Host and port of the Service; the address, so that no name server is needed."""
        service = self.cluster.get("v1", "Service", self.deployed.service, self.namespace)
        assert service is not None
        address = service["spec"].get("clusterIP", "None")
        if address == "None":
            address = f"{self.deployed.service}.{self.namespace}.svc"
        return address, self.deployed.service_port

    def wait(self, what: str, done: Callable[[], bool], seconds: float | None = None) -> float:
        """Waits until it is done.

        Returns:
            How many seconds that took.

        Raises:
            TooSlow: It never came.
        """
        start = said = time.monotonic()
        limit = self.patience if seconds is None else seconds
        while not done():
            now = time.monotonic()
            if now - start > limit:
                raise TooSlow(f"no {what} within {limit:.0f} s; {self.trouble()}")
            if now - said > 10:
                said = now
                self.say(f"{now - start:.0f} s: waiting for {what}")
            time.sleep(_PAUSE)
        return time.monotonic() - start

    def settle(self, seconds: float | None = None) -> float:
        """Waits until as many pods are ready as there shall be, and none is ending."""
        wanted = self.deployed.replicas

        def settled() -> bool:
            pods = self.serving_pods()
            return len(pods) == wanted and all(is_ready(pod) and not is_ending(pod) for pod in pods)

        return self.wait(f"deployment with {wanted} ready pods", settled, seconds)

    def client(self) -> str:
        """The name of a pod to ask from, made at first need."""
        if self.cluster.get("v1", "Pod", objects.CLIENT, self.namespace) is None:
            self.cluster.create(objects.client_pod(self.namespace, self.image))
        self.wait("client pod", lambda: self.runs(objects.CLIENT))
        return objects.CLIENT

    def runs(self, name: str) -> bool:
        """Whether the first container of a pod runs."""
        pod = self.cluster.get("v1", "Pod", name, self.namespace)
        return pod is not None and is_running(pod)

    def run_in_client(self, program: str, *arguments: Any, seconds: float | None = None) -> Any:
        """What a program of ``inside/`` returns, run in a pod beside the deployment."""
        return self._run(self.client(), "client", program, arguments, seconds)

    def run_in(self, pod: str, program: str, *arguments: Any, seconds: float | None = None) -> Any:
        """The same in a pod of the deployment."""
        return self._run(pod, self.deployed.container, program, arguments, seconds)

    def ask(self, wishes: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Answers to requests from the client pod: path, and maybe host, port, headers, picture."""
        host, port = self.service_address()
        usual = {"host": host, "port": port, "headers": {}, "picture": False}
        filled = [{**usual, **wish} for wish in wishes]
        return list(self.run_in_client("asking", filled)["answers"])

    def trouble(self) -> str:
        """Why pods are not ready, as far as the cluster says."""
        try:
            reasons = [reason for pod in self.serving_pods() for reason in _reasons(pod)]
            if reasons:
                return "; ".join(reasons[:4])
            events = self.cluster.list("v1", "Event", self.namespace)
        except ClusterError as error:
            return f"and the cluster does not say why: {error}"
        warnings = [event["message"] for event in events if event.get("type") == "Warning"]
        return "; ".join(warnings[-3:]) or "the cluster names no reason"

    def _run(
        self,
        pod: str,
        container: str,
        program: str,
        arguments: Sequence[Any],
        seconds: float | None,
    ) -> Any:
        told = [one if isinstance(one, str) else json.dumps(one) for one in arguments]
        limit = self.patience if seconds is None else seconds
        return self.pods.run(pod, container, bundle(program), told, limit, self.say)


def name_of(thing: Json) -> str:
    """An object's name."""
    return str(thing["metadata"]["name"])


def is_ready(pod: Json) -> bool:
    """Whether the cluster counts a pod as ready."""
    conditions = pod.get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def is_ending(pod: Json) -> bool:
    """Whether a pod was asked to end."""
    return "deletionTimestamp" in pod["metadata"]


def is_running(pod: Json) -> bool:
    """Whether the first container runs, ready or not."""
    statuses = pod.get("status", {}).get("containerStatuses", ())
    return bool(statuses) and "running" in statuses[0].get("state", {})


def restarts(pod: Json) -> int:
    """How often the first container was started anew."""
    statuses = pod.get("status", {}).get("containerStatuses", ())
    return int(statuses[0]["restartCount"]) if statuses else 0


def _reasons(pod: Json) -> list[str]:
    status = pod.get("status", {})
    found = [
        f"{name_of(pod)}: {one.get('message') or one.get('reason')}"
        for one in status.get("conditions", ())
        if one["status"] == "False" and one["type"] == "PodScheduled"
    ]
    for one in status.get("containerStatuses", ()):
        waiting = one.get("state", {}).get("waiting", {})
        if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            found.append(
                f"{name_of(pod)}: {waiting['reason']} {waiting.get('message', '')}".strip()
            )
    return found
