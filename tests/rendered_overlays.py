"""The overlays of kubernetes/, rendered once for all tests, and what to hold them against."""

import copy
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from manifests.builtin import VERSIONS, Builtin, builtin
from manifests.custom import Custom, read_definitions
from manifests.kustomize import find_kustomize, render
from repository import ROOT

OVERLAYS = ROOT / "kubernetes" / "overlays"
NAMES = (
    "autoscale-keda",
    "autoscale-keda-gpu",
    "cpu",
    "gpu",
    "kserve",
    "model-store-pvc",
    "model-store-s3",
    "monitoring",
)

Document = dict[str, Any]
Path_ = tuple[str | int, ...]


@cache
def _rendered(folder: Path) -> list[Document]:
    return render(find_kustomize(ROOT / "run" / "tools"), folder)


def rendered(name: str) -> list[Document]:
    """A copy of an overlay's resources, which the test may change."""
    return copy.deepcopy(_rendered(OVERLAYS / name))


def versions() -> list[Builtin]:
    """The Kubernetes versions that must take them."""
    return [builtin(version) for version in VERSIONS]


@cache
def definitions() -> Custom | None:
    """The definitions of custom resources, where a folder of them is at hand."""
    folder = Path(os.environ.get("GRADCAM_TEST_DATA", "")) / "crds"
    return read_definitions(folder) if "GRADCAM_TEST_DATA" in os.environ else None


def only(resources: list[Document], kind: str, name: str = "gradcam") -> Document:
    """The one resource of a kind and name."""
    (found,) = [one for one in resources if one["kind"] == kind and one["metadata"]["name"] == name]
    return found


def paths(value: Any, here: Path_ = ()) -> Iterator[Path_]:
    """The path of every value in a document, from the outside in."""
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in items:
        yield (*here, key)
        yield from paths(inner, (*here, key))


def at(value: Any, path: Path_) -> Any:
    """The value at a path."""
    for key in path:
        value = value[key]
    return value
