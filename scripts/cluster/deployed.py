"""What the checks need to know of a deployment, read off its manifests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from cluster.rendering import Json, RenderingError

KEYS_FILE = "/etc/gradcam/keys/keys"
"""Where the container looks for its keys unless told otherwise."""

SHUT_PORTS = (8080, 8081, 8082, 7070, 7071, 8003)
"""TorchServe's inference, management, metrics, gRPC twice, and the agent: all of them loopback."""


@dataclass(frozen=True)
class Deployed:
    """Names and numbers of one deployment.

    Attributes:
        name: Of the Deployment.
        selector: Labels that its pods have.
        replicas: How many pods there are.
        container: The name of the one that serves.
        door: The port that requests come to.
        metrics: The port of ``/metrics``.
        service: The Service's name.
        service_port: Its port for the door.
        keys_secret: The Secret that holds the keys, and the entry's name in it.
        limits: Of the container, as written, such as ``{"memory": "2Gi"}``.
        user: The user's number that pods shall have.
        grace: Seconds that a pod has to stop.
        budget: The PodDisruptionBudget's name; empty where there is none.
    """

    name: str
    selector: Mapping[str, str]
    replicas: int
    container: str
    door: int
    metrics: int
    service: str
    service_port: int
    keys_secret: tuple[str, str]
    limits: Mapping[str, str]
    user: int
    grace: int
    budget: str


def read_deployed(documents: Sequence[Json]) -> Deployed:
    """Reads the objects of an overlay.

    Raises:
        RenderingError: There is not exactly one Deployment and one Service, or one of them lacks
            something that the checks need.
    """
    deployment, service = _only(documents, "Deployment"), _only(documents, "Service")
    spec = deployment["spec"]
    pod = spec["template"]["spec"]
    container = pod["containers"][0]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    budgets = [one for one in documents if one["kind"] == "PodDisruptionBudget"]
    try:
        entry = service["spec"]["ports"][0]
        return Deployed(
            name=deployment["metadata"]["name"],
            selector=spec["selector"]["matchLabels"],
            replicas=spec.get("replicas", 1),
            container=container["name"],
            door=ports["http"],
            metrics=ports["metrics"],
            service=service["metadata"]["name"],
            service_port=entry["port"],
            keys_secret=_keys_secret(pod, container),
            limits=container["resources"]["limits"],
            user=pod["securityContext"]["runAsUser"],
            grace=pod["terminationGracePeriodSeconds"],
            budget=budgets[0]["metadata"]["name"] if budgets else "",
        )
    except KeyError as error:
        raise RenderingError(f"the deployment does not say its {error}") from error


def _keys_secret(pod: Json, container: Json) -> tuple[str, str]:
    told = {one["name"]: one.get("value", "") for one in container.get("env", ())}
    path = PurePosixPath(told.get("GRADCAM_KEYS_FILE", KEYS_FILE))
    volumes = {volume["name"]: volume for volume in pod.get("volumes", ())}
    for mount in container.get("volumeMounts", ()):
        if PurePosixPath(mount["mountPath"]) == path.parent:
            secret = volumes[mount["name"]]["secret"]
            entries = {item["path"]: item["key"] for item in secret.get("items", ())}
            return str(secret["secretName"]), str(entries.get(path.name, path.name))
    raise RenderingError(f"no Secret is mounted where the keys are looked for, {path}")


def _only(documents: Sequence[Json], kind: str) -> Any:
    found = [document for document in documents if document["kind"] == kind]
    if len(found) != 1:
        raise RenderingError(f"the checks need one {kind}; the overlay has {len(found)}")
    return found[0]
