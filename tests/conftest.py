"""Fixtures: a handler loaded once from an archive's folder, and optional real photographs."""

import os
from pathlib import Path

import pytest

from archive_dir import Served, serve, write_archive


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive's folder: a small network with seeded random weights, and twelve class names."""
    return write_archive(tmp_path_factory.mktemp("zoo"))


@pytest.fixture(scope="session")
def served(folder: Path) -> Served:
    """The handler that serves it."""
    return serve(folder)


@pytest.fixture(scope="session")
def photographs() -> Path:
    """A folder of real photographs, for extra checks where one is at hand."""
    data = Path(os.environ.get("GRADCAM_TEST_DATA", "")) / "photos"
    if "GRADCAM_TEST_DATA" not in os.environ or not data.is_dir():
        pytest.skip("an extra: GRADCAM_TEST_DATA names no folder with photos/")
    return data
