"""A cluster's objects through its API, by the official Kubernetes client.

Objects go in and come out as plain dictionaries, whatever their kind, so that custom resources need
nothing of their own.
"""

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kubernetes.client.rest import ApiException
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import ResourceNotFoundError
from urllib3.exceptions import HTTPError

from cluster.errors import ClusterError
from cluster.rendering import Json
from kubernetes import client, config

MANAGER = "gradcam-cluster-check"
"""The field manager of all that is applied."""

_SECONDS = 30.0  # for an answer of the API


class Cluster:
    """One cluster, as a kubeconfig file names it."""

    def __init__(self, kubeconfig: Path, context: str | None = None) -> None:
        """Reads the file; asks nothing yet.

        Raises:
            ClusterError: The file cannot be used.
        """
        try:
            self.client = config.new_client_from_config(
                str(kubeconfig), context, persist_config=False
            )
        except (config.ConfigException, OSError) as error:
            raise ClusterError(0, f"{kubeconfig}: {error}") from error
        # what the client remembers of a cluster would otherwise outlive it in the temporary folder
        self._memory = tempfile.TemporaryDirectory(prefix="cluster-check-")
        self._dynamic_client: Any = None

    def version(self) -> str:
        """Such as ``v1.36.2``.

        Raises:
            ClusterError: The API does not answer.
        """
        return str(self.asked(lambda: client.VersionApi(self.client).get_code()).git_version)

    def host(self) -> str:
        """The API's address."""
        return str(self.client.configuration.host)

    def serves(self, api_version: str, kind: str) -> bool:
        """Whether the cluster knows this kind."""
        try:
            self._resource(api_version, kind)
        except ClusterError as error:
            if error.status == 404:
                return False
            raise
        return True

    def is_namespaced(self, api_version: str, kind: str) -> bool:
        """Whether objects of this kind lie in a namespace."""
        return bool(self._resource(api_version, kind).namespaced)

    def apply(self, document: Json, dry_run: bool = False) -> Json:
        """Applies an object, the server checking strictly that it knows every field.

        Raises:
            ClusterError: The server refuses it.
        """
        resource = self._resource(document["apiVersion"], document["kind"])
        return self._told(
            lambda: self._dynamic().server_side_apply(
                resource,
                body=document,
                name=document["metadata"]["name"],
                namespace=document["metadata"].get("namespace"),
                field_manager=MANAGER,
                force_conflicts=True,
                query_params=_strict(dry_run),
                _request_timeout=_SECONDS,
            )
        )

    def create(self, document: Json, dry_run: bool = False) -> Json:
        """Makes an object that must not exist yet.

        Raises:
            ClusterError: The server refuses it, with status 409 where it exists.
        """
        resource = self._resource(document["apiVersion"], document["kind"])
        return self._told(
            lambda: self._dynamic().create(
                resource,
                body=document,
                namespace=document["metadata"].get("namespace"),
                field_manager=MANAGER,
                query_params=_strict(dry_run),
                _request_timeout=_SECONDS,
            )
        )

    def patch(self, api_version: str, kind: str, name: str, namespace: str, change: Json) -> Json:
        """Merges a change into an object."""
        resource = self._resource(api_version, kind)
        return self._told(
            lambda: self._dynamic().patch(
                resource,
                body=change,
                name=name,
                namespace=namespace,
                content_type="application/merge-patch+json",
                field_manager=MANAGER,
                _request_timeout=_SECONDS,
            )
        )

    def get(self, api_version: str, kind: str, name: str, namespace: str | None) -> Json | None:
        """One object; ``None`` where there is none of that name."""
        resource = self._resource(api_version, kind)
        try:
            return self._told(
                lambda: self._dynamic().get(
                    resource, name=name, namespace=namespace, _request_timeout=_SECONDS
                )
            )
        except ClusterError as error:
            if error.status == 404:
                return None
            raise

    def list(
        self,
        api_version: str,
        kind: str,
        namespace: str | None = None,
        labels: Mapping[str, str] | None = None,
        fields: str | None = None,
    ) -> list[Json]:
        """All objects of a kind with these labels."""
        resource = self._resource(api_version, kind)
        selector = ",".join(f"{name}={value}" for name, value in (labels or {}).items())
        found = self._told(
            lambda: self._dynamic().get(
                resource,
                namespace=namespace,
                label_selector=selector or None,
                field_selector=fields,
                _request_timeout=_SECONDS,
            )
        )
        return [dict(item) for item in found.get("items", ())]

    def delete(self, api_version: str, kind: str, name: str, namespace: str | None) -> None:
        """Removes an object, if it is there; what it owns goes with it."""
        resource = self._resource(api_version, kind)
        try:
            self.asked(
                lambda: self._dynamic().delete(
                    resource,
                    name=name,
                    namespace=namespace,
                    propagation_policy="Background",
                    _request_timeout=_SECONDS,
                )
            )
        except ClusterError as error:
            if error.status != 404:
                raise

    def _dynamic(self) -> Any:
        if self._dynamic_client is None:
            memory = str(Path(self._memory.name) / "discovered.json")
            self._dynamic_client = DynamicClient(self.client, cache_file=memory)
        return self._dynamic_client

    def _resource(self, api_version: str, kind: str) -> Any:
        try:
            return self.asked(
                lambda: self._dynamic().resources.get(api_version=api_version, kind=kind)
            )
        except ResourceNotFoundError as error:
            raise ClusterError(404, f"the cluster knows no {api_version} {kind}") from error

    def _told(self, ask: Callable[[], Any]) -> Json:
        return dict(self.asked(ask).to_dict())

    def asked(self, ask: Callable[[], Any]) -> Any:
        """What a call of the client gives.

        Raises:
            ClusterError: In place of the client's own errors.
        """
        try:
            return ask()
        except ApiException as error:
            raise ClusterError(error.status or 0, _message(error)) from error
        except (HTTPError, OSError) as error:
            why = getattr(error, "reason", None) or error  # without urllib3's account of its tries
            raise ClusterError(0, f"{self.host()} does not answer: {why}") from error


def _strict(dry_run: bool) -> list[tuple[str, str]]:
    return [("fieldValidation", "Strict"), *([("dryRun", "All")] if dry_run else [])]


def _message(error: Any) -> str:
    """The server's own sentence, without the rest of the answer."""
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason or error)
