"""Which model ``scripts/serve.py`` takes from its command line, where it must not even start."""

import subprocess
import sys
from pathlib import Path

import pytest

from local_ports import Ports
from repository import ROOT


def refused(folder: Path, *arguments: str) -> tuple[int, str]:
    ports = Ports.free()
    numbers = {
        "--port": ports.inference,
        "--management-port": ports.management,
        "--metrics-port": ports.metrics,
        "--grpc-port": ports.grpc_inference,
    }
    done = subprocess.run(
        [
            *(sys.executable, str(ROOT / "scripts" / "serve.py"), *arguments),
            *(f"{flag}={number}" for flag, number in numbers.items()),
            f"--export-path={folder}",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert "starting TorchServe" not in done.stdout
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "source", [("--arch", "vgg19"), ("--timm", "resnet10t"), ("--model-file", "a.py")]
)
def test_a_model_and_names_of_archives_are_too_much(
    tmp_path: Path, source: tuple[str, str]
) -> None:
    code, told = refused(tmp_path, "zoo", *source)
    assert code == 1
    assert "either a model to package or names of archives, not both" in told


def test_two_models_are_too_many(tmp_path: Path) -> None:
    code, told = refused(tmp_path, "--timm", "resnet10t", "--exported", "a.pt2")
    assert code == 1
    assert "exactly one of --arch, --timm, --model-file and --exported" in told


def test_an_exported_model_is_what_is_packaged_and_not_the_demo(tmp_path: Path) -> None:
    code, told = refused(tmp_path, "--exported", str(tmp_path / "no.pt2"))
    assert code == 2
    assert "no.pt2 does not exist" in told
    assert not list(tmp_path.iterdir())
