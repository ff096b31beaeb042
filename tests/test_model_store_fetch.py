"""The init container's script: only archives with the checksum that is expected are served.

Once with rclone itself and a folder as its remote, and once with a script of three lines in place
of its ``copy``, which is there where rclone cannot be had.
"""

import hashlib
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from debian_tools import NoProgramError, find_program
from repository import ROOT

FETCH = ROOT / "kubernetes" / "components" / "model-store-s3" / "fetch.sh"
ARCHIVE = b"an archive\n" * 1000

# rclone --config '' copy --files-from-raw NAMES store:PATH FOLDER
STAND_IN = """#!/bin/sh
while read -r name; do
    [ ! -e "$STORE/$name" ] || cp "$STORE/$name" "$7"
done <"$5"
"""


@pytest.fixture(params=["a stand-in", "rclone"])
def copying(request: pytest.FixtureRequest, tmp_path: Path) -> Mapping[str, str]:
    """The environment in which ``rclone`` copies from ``tmp_path/store``."""
    environment = {**os.environ, "STORE": str(tmp_path / "store")}
    if request.param == "rclone":
        try:
            folder = find_program("rclone").parent
        except NoProgramError as error:
            pytest.skip(str(error))
        remote = {"TYPE": "alias", "REMOTE": environment["STORE"]}
        told = {f"RCLONE_CONFIG_STORE_{key}": value for key, value in remote.items()}
        return environment | told | {"PATH": f"{folder}:{environment['PATH']}"}
    program = tmp_path / "bin" / "rclone"
    program.parent.mkdir()
    program.write_text(STAND_IN)
    program.chmod(0o755)
    return environment | {"PATH": f"{program.parent}:{environment['PATH']}"}


def fetch(
    tmp_path: Path, environment: Mapping[str, str], sums: str, store: Mapping[str, bytes]
) -> tuple[subprocess.CompletedProcess[str], set[str]]:
    """Runs the script, and tells what lies in the folder then."""
    (tmp_path / "store").mkdir()
    for name, content in store.items():
        (tmp_path / "store" / name).write_bytes(content)
    folder = tmp_path / "model-store"
    folder.mkdir()
    (tmp_path / "SHA256SUMS").write_text(sums)
    command = ["sh", str(FETCH), "store:", str(tmp_path / "SHA256SUMS"), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done, {one.name for one in folder.iterdir()}


def line(name: str, content: bytes = ARCHIVE) -> str:
    return f"{hashlib.sha256(content).hexdigest()}  {name}\n"


def test_what_is_named_and_right_is_copied_and_nothing_else(
    tmp_path: Path, copying: Mapping[str, str]
) -> None:
    store = {"a.mar": ARCHIVE, "b.mar": b"b", "other.mar": b"not named"}
    done, there = fetch(tmp_path, copying, line("a.mar") + line("b.mar", b"b"), store)
    assert done.returncode == 0, done.stderr
    assert there == {"a.mar", "b.mar"}


def test_an_archive_with_another_checksum_leaves_nothing(
    tmp_path: Path, copying: Mapping[str, str]
) -> None:
    store = {"a.mar": ARCHIVE, "b.mar": b"replaced by somebody"}
    done, there = fetch(tmp_path, copying, line("a.mar") + line("b.mar", b"b"), store)
    assert done.returncode == 1
    assert "not the one expected" in done.stderr
    assert there == set()


def test_an_archive_that_is_missing_fails_the_start(
    tmp_path: Path, copying: Mapping[str, str]
) -> None:
    done, there = fetch(tmp_path, copying, line("a.mar") + line("b.mar"), {"a.mar": ARCHIVE})
    assert done.returncode == 1
    assert there == set()


@pytest.mark.parametrize(
    ("sums", "message"),
    [
        ("", "names no archive"),
        ("# a comment\n", "names no archive"),
        (line("a.mar") + "deadbeef  b.mar\n", "has a line that is not"),
        (line("a.mar") + line("../b.mar"), "has a line that is not"),
        (line("a.mar") + line("b.zip"), "has a line that is not"),
    ],
)
def test_sums_that_cannot_be_read_as_such_fail_the_start(
    sums: str, message: str, tmp_path: Path, copying: Mapping[str, str]
) -> None:
    done, there = fetch(tmp_path, copying, sums, {"a.mar": ARCHIVE, "b.mar": ARCHIVE})
    assert done.returncode == 1
    assert message in done.stderr
    assert there == set()


def test_the_overlay_as_it_is_serves_nothing(tmp_path: Path, copying: Mapping[str, str]) -> None:
    """Its SHA256SUMS is a place to write into."""
    example = ROOT / "kubernetes" / "overlays" / "model-store-s3" / "SHA256SUMS"
    done, there = fetch(tmp_path, copying, example.read_text(), {"a.mar": ARCHIVE})
    assert done.returncode == 1
    assert there == set()
