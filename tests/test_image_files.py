"""The Dockerfile and the scripts around it: linted, and of one mind."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pin_base import base_of
from repository import ROOT

_DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
_SHELL = sorted(
    [*ROOT.glob("scripts/*.sh"), *ROOT.glob("scripts/image/*.sh"), ROOT / ".ci" / "run"]
)


def tool(name: str) -> str:
    """A linter of requirements/dev.txt: beside this Python, or on PATH."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    assert found, f"{name} is not installed; requirements/dev.txt has it"
    return found


def test_hadolint_finds_nothing() -> None:
    done = subprocess.run(
        [tool("hadolint"), "--config", ROOT / ".hadolint.yaml", ROOT / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_hadolint_would_find_something(tmp_path: Path) -> None:
    worse = tmp_path / "Dockerfile"
    worse.write_text(_DOCKERFILE.replace("--no-install-recommends nginx", "nginx", 1))
    done = subprocess.run(
        [tool("hadolint"), "--config", ROOT / ".hadolint.yaml", worse],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "DL3015" in done.stdout


@pytest.mark.parametrize("script", _SHELL, ids=lambda path: path.name)
def test_shell_scripts_parse_and_shellcheck_finds_nothing(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True)
    done = subprocess.run(
        [tool("shellcheck"), "--external-sources", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_context_holds_what_is_copied() -> None:
    kept = [
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    copied = set()
    for line in re.findall(r"^COPY (?!--from)(.*)$", _DOCKERFILE, re.MULTILINE):
        copied |= set(line.split()[:-1])
    assert "requirements/image-${VARIANT}.lock" in copied
    for path in copied:
        name = path.replace("${VARIANT}", "*").replace("image-tools", "image-*")
        assert any(name == one or name.startswith(f"{one}/") for one in kept), path
    # and nothing more than that: no secrets, no git history, no model store
    assert {one.split("/")[0] for one in kept} == {path.split("/")[0] for path in copied}


def test_all_stages_stand_on_one_base_that_can_be_pinned() -> None:
    assert re.fullmatch(r"[a-z0-9./-]+:[a-z0-9.-]+(@sha256:[0-9a-f]{64})?", base_of(_DOCKERFILE))
    stages = re.findall(r"^FROM (\S+)(?: AS (\S+))?$", _DOCKERFILE, re.MULTILINE)
    assert stages[0] == ("${BASE}", "base")
    names = [name for _, name in stages]
    for number, (source, _) in enumerate(stages[1:], start=1):
        assert source in names[:number]  # no other image comes in


def test_what_runs_is_no_stage_that_builds() -> None:
    """Compilers, pip and the JDK come into stages that the last one only copies results from."""
    parents = {
        name: source for source, name in re.findall(r"^FROM (\S+) AS (\S+)$", _DOCKERFILE, re.M)
    }
    line, last = [], re.findall(r"^FROM (\S+)$", _DOCKERFILE, re.MULTILINE)[-1]
    while last in parents:
        line.append(last)
        last = parents[last]
    assert line == ["runtime", "base"]
    assert not {"java", "tools", "packages", "materials"} & set(line)


def test_wheels_are_installed_by_hash_only() -> None:
    commands = re.sub(r"\\\n", " ", _DOCKERFILE)
    installs = re.findall(r"/pip [^&\n]*?install [^&\n]*", commands)
    assert len(installs) == 2
    for command in installs:
        for flag in ("--require-hashes", "--no-deps", "--only-binary :all:"):
            assert flag in command


def test_labels_are_not_those_of_another_revision() -> None:
    """buildah looks labels up in its cache without their values; a command, with them."""
    last = _DOCKERFILE.rpartition("\nFROM ")[2]
    before_labels = last.partition("\nLABEL ")[0]
    (command,) = re.findall(r"^RUN (.*)$", before_labels, re.MULTILINE)
    assert {"$VERSION", "$REVISION"} <= set(re.findall(r"\$\w+", command))


# --- build_image.sh, with an engine that writes down what it is asked -----------------------------


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "podman"
    script.write_text(
        '#!/bin/sh\nprintf "%s\\n" "$*" >>"$ASKED"\n'
        'case $1 in create) echo 0123 ;; cp) echo "{}" >"$3" ;; esac\n'
    )
    script.chmod(0o755)
    docker = folder / "docker"  # a client without its engine
    docker.write_text("#!/bin/sh\nexit 1\n")
    docker.chmod(0o755)
    return folder


def build(engine: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    asked = engine.parent / "asked"
    done = subprocess.run(
        [ROOT / "scripts" / "build_image.sh", *arguments],
        env={**os.environ, "PATH": f"{engine}:{os.environ['PATH']}", "ASKED": str(asked)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done, asked.read_text().splitlines() if asked.exists() else []


def test_it_builds_with_the_engine_that_works(engine: Path) -> None:
    sbom = engine.parent / "materials" / "sbom.json"
    done, asked = build(
        engine,
        "--tag",
        "x:1",
        "--base",
        "debian-python:13",
        "--sbom",
        str(sbom),
        "--",
        "--no-cache",
    )
    assert done.returncode == 0, done.stderr
    command = asked[0]
    assert command.startswith(f"build --format docker --file {ROOT}/Dockerfile --tag x:1 ")
    assert command.endswith(f"--no-cache {ROOT}")
    for argument in ("VARIANT=cuda", "VERSION=", "REVISION=", "BASE=debian-python:13"):
        assert f"--build-arg {argument}" in command
    assert sbom.read_text() == "{}\n"
    assert asked[-1] == "rm 0123"


def test_a_tag_is_found_for_it(engine: Path) -> None:
    done, asked = build(engine, "--sbom", str(engine.parent / "x.json"))
    assert done.returncode == 0, done.stderr
    assert re.search(r"--tag torchserve-gradcam:\d+\.\d+\.\d+ ", asked[0])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--cpu"], "--cpu needs --index-url"),
        (["--index-url", "x"], "--index-url goes with --cpu"),
        (["--tga", "x"], "there is no option --tga"),
        (["--tag"], "--tag needs a value"),
        (["--engine", "rkt"], "rkt is none of docker, podman, buildah"),
        (["--engine", "docker"], "none of docker is there"),
    ],
)
def test_what_cannot_be_built_is_refused(engine: Path, arguments: list[str], sentence: str) -> None:
    done, asked = build(engine, *arguments)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert not asked
