"""Pinning the base: the digest is written where the Dockerfile names it."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import pin_base
from pin_base import PinError, base_of, with_base, without_digest
from repository import ROOT

_DIGEST = f"sha256:{'0123456789abcdef' * 4}"
_MANIFEST = '{"schemaVersion": 2,  "manifests": []}'  # two spaces: its bytes count, not its meaning


def stub(folder: Path, name: str, body: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def pin(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "pin_base.py", "--print", *arguments],
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_skopeo_gives_the_manifest_whose_digest_it_is(tmp_path: Path) -> None:
    stub(
        tmp_path,
        "skopeo",
        f"[ \"$*\" = 'inspect --raw docker://a/b:1' ] && printf '%s' '{_MANIFEST}'",
    )
    done = pin(tmp_path, "--tool", "skopeo", f"a/b:1@{_DIGEST}")
    assert done.stdout == f"a/b:1@sha256:{hashlib.sha256(_MANIFEST.encode()).hexdigest()}\n"


@pytest.mark.parametrize("tool", ["docker", "podman", "buildah"])
def test_others_pull_and_say_it(tmp_path: Path, tool: str) -> None:
    stub(
        tmp_path,
        tool,
        f"case \"$*\" in 'pull --quiet a:1') ;; *inspect*) echo 'a@{_DIGEST}' ;; esac",
    )
    assert pin(tmp_path, "--tool", tool, "a:1").stdout == f"a:1@{_DIGEST}\n"


def test_a_registry_that_cannot_be_reached_is_told(tmp_path: Path) -> None:
    stub(tmp_path, "skopeo", "echo 'dial tcp: no such host' >&2; exit 1")
    done = pin(tmp_path, "--tool", "skopeo", "a:1")
    assert done.returncode == 1
    assert "no such host" in done.stderr
    assert done.stdout == ""


def test_a_tool_that_tells_no_digest_is_told(tmp_path: Path) -> None:
    stub(tmp_path, "podman", "case $1 in image) echo '<none>' ;; esac")
    assert "told no digest but '<none>'" in pin(tmp_path, "--tool", "podman", "a:1").stderr


def test_it_is_written_to_the_dockerfile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "Dockerfile"
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    copy.write_text(text, encoding="utf-8")
    stub(tmp_path, "buildah", f"case $1 in inspect) echo {_DIGEST} ;; esac")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(pin_base, "_DOCKERFILE", copy)
    monkeypatch.setattr(sys, "argv", ["pin_base.py", "--tool", "buildah"])
    assert pin_base.main() == 0
    written = copy.read_text(encoding="utf-8")
    pinned = f"{without_digest(base_of(text))}@{_DIGEST}"
    assert base_of(written) == pinned
    assert capsys.readouterr().out == f"{pinned}\n"
    # nothing else has changed, and a second run moves on from there
    assert with_base(written, base_of(text)) == text
    assert pin_base.main() == 0
    assert copy.read_text(encoding="utf-8") == written


@pytest.mark.parametrize("image", ["python", "localhost:5000/python", "python@sha256:00"])
def test_a_name_without_a_tag_is_refused(image: str) -> None:
    with pytest.raises(PinError, match="has no tag"):
        without_digest(image)


@pytest.mark.parametrize("text", ["FROM x\n", "ARG BASE=a:1\nARG BASE=b:1\n"])
def test_a_dockerfile_without_one_base_is_refused(text: str) -> None:
    with pytest.raises(PinError, match="lines 'ARG BASE="):
        base_of(text)
