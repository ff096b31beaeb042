"""The packages of the engine and which of them may know of which, as ARCHITECTURE.md draws them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from repository import ROOT

PACKAGE = ROOT / "handlers" / "gradcam"
BASE = {"errors", "version"}
MAY_IMPORT = {
    "methods": BASE,
    "survey": BASE,
    "engine": BASE | {"methods", "survey"},
    "networks": BASE | {"settings"},
    "pictures": BASE | {"geometry", "settings"},
    "request": BASE
    | {"engine", "geometry", "labels", "methods", "pictures", "record", "settings", "survey"},
    "answer": BASE
    | {"engine", "geometry", "labels", "methods", "pictures", "record", "request", "settings"}
    | {"survey"},
}
"""By a package, what of ``gradcam`` its modules may import besides their own."""


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _of_the_package(path: Path) -> set[str]:
    names = (name.split(".") for name in _imported(path))
    return {name[1] for name in names if name[0] == "gradcam"}


def test_every_package_has_its_rule() -> None:
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(MAY_IMPORT)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_lies_before_it(package: str) -> None:
    known = {path.stem for path in PACKAGE.iterdir()}
    for path in (PACKAGE / package).rglob("*.py"):
        imported = _of_the_package(path)
        assert imported <= known, path  # a module of it, never a name out of its front
        assert imported <= MAY_IMPORT[package] | {package}, path


def test_torchserve_is_known_at_the_door_only() -> None:
    for path in PACKAGE.rglob("*.py"):
        assert not [name for name in _imported(path) if name.split(".")[0] in ("ts", "container")]


def test_every_module_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"\b[a-z_0-9]+\.py\b", (ROOT / "ARCHITECTURE.md").read_text("utf-8")))
    there = {
        path.name
        for folder in ("handlers", "container", "tests")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert len(named) > 50
    assert named <= there
