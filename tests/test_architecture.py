"""Which module of the engine may know of which, as ARCHITECTURE.md draws them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from repository import ROOT

PACKAGE = ROOT / "handlers" / "gradcam"
FLOORS = (
    {"errors", "version", "crew", "heap", "memory", "methods", "record"},
    {"labels", "settings_values", "survey"},
    {"engine"},
    {"settings"},
    {"geometry", "networks"},
    {"pictures"},
    {"request"},
    {"answer", "chunks", "measures"},
    {"service"},
)
"""The modules and packages of ``gradcam`` from the ground up: each imports from below it only."""


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: import by whole names, so that this can follow"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_every_module_has_its_floor() -> None:
    there = {_room(path) for path in PACKAGE.rglob("*.py")} - {"__init__"}
    assert sorted(name for floor in FLOORS for name in floor) == sorted(there)


@pytest.mark.parametrize("floor", range(len(FLOORS)))
def test_imports_lead_downwards(floor: int) -> None:
    below = {name for lower in FLOORS[:floor] for name in lower}
    paths = [path for path in PACKAGE.rglob("*.py") if _room(path) in FLOORS[floor]]
    assert paths
    for path in paths:
        names = (name.split(".") for name in _imported(path))
        of_ours = {name[1] for name in names if name[0] == "gradcam"}
        assert of_ours <= below | {_room(path)}, path


def test_torchserve_is_known_at_the_door_only() -> None:
    for path in PACKAGE.rglob("*.py"):
        roots = {name.split(".")[0] for name in _imported(path)}
        assert not roots & {"ts", "container", "gradcam_handler"}, path


def test_the_page_names_every_module_and_no_other() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\b[a-z_0-9]+\.py\b", page))
    ours = {path.name for path in (ROOT / "handlers").rglob("*.py")} - {"__init__.py"}
    assert ours - named == set()
    others = {path.name for path in (ROOT / "container").rglob("*.py")}
    assert named - ours - others == {"test_architecture.py"}
