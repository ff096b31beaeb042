"""An overlay's objects, as kustomize renders them, made to fit into a namespace of their own."""

import copy
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]

_PODS_LIE_AT = {
    "Pod": ("spec",),
    "Deployment": ("spec", "template", "spec"),
    "InferenceService": ("spec", "predictor"),
}


class RenderingError(Exception):
    """An overlay cannot be rendered or placed; the message says why."""


def render(overlay: Path) -> list[Json]:
    """All objects of an overlay.

    Raises:
        RenderingError: There is no kustomize, or it says that something is wrong.
    """
    command = [*_kustomize(), str(overlay)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode != 0:
        raise RenderingError(f"{' '.join(command)}: {done.stderr.strip()}")
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def place(
    documents: Sequence[Json],
    namespace: str,
    image: str,
    requests: Mapping[str, str] | None = None,
) -> list[Json]:
    """Copies of the objects in this namespace, with this image in place of the product's.

    Args:
        documents: As rendered.
        namespace: Where they go, whatever was rendered.
        image: A reference that the cluster's nodes can run.
        requests: What a pod asks of a node, such as ``{"cpu": "100m"}``, where a small cluster
            could not hold the pods otherwise. Limits stay as they are.

    Raises:
        RenderingError: No container runs the product's image.
    """
    placed = copy.deepcopy(list(documents))
    found = 0
    for document in placed:
        document["metadata"]["namespace"] = namespace
        for container in containers(document):
            if is_product(container["image"]):
                found += 1
                container["image"] = image
                if requests:
                    container.setdefault("resources", {}).setdefault("requests", {}).update(
                        requests
                    )
    if not found:
        raise RenderingError("no container has the image torchserve-gradcam")
    return placed


def is_product(image: str) -> bool:
    """Whether a reference is to the product's own image, from whatever registry."""
    name = image.rpartition("/")[2]
    return name.partition("@")[0].partition(":")[0] == "torchserve-gradcam"


def containers(document: Json) -> Iterator[Json]:
    """All containers of the pods that an object makes, those that only initialise included."""
    spec: Any = document
    for step in _PODS_LIE_AT.get(document["kind"], ()):
        spec = spec.get(step, {})
    if spec is not document:
        yield from spec.get("initContainers", ())
        yield from spec.get("containers", ())


def _kustomize() -> list[str]:
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    if shutil.which("kubectl"):
        return ["kubectl", "kustomize"]
    raise RenderingError("rendering needs kustomize or kubectl (1.27 or newer) on the PATH")
