"""What ``scripts/package_model.py`` refuses: one sentence, exit status 2, and nothing is left."""

import os
import subprocess
import sys
import urllib.request
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from packaging_runs import ARCHITECTURE, MANY, Packager, state_dict
from repository import ROOT

ARCH = ("--arch", ARCHITECTURE)


@pytest.fixture
def packager(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Packager:
    return Packager(monkeypatch, capfd)


def _whole_module(path: Path) -> None:
    torch.save(nn.Linear(2, 2), path)


def _torchscript(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is deprecated
        script: Any = torch.jit.script(nn.Linear(2, 2))
    script.save(str(path))


def _text(path: Path) -> None:
    path.write_text("no weights at all")


def _cut_off(path: Path) -> None:
    torch.save(state_dict(), path)
    path.write_bytes(path.read_bytes()[:-5000])


def _only_numbers(path: Path) -> None:
    torch.save({"epoch": 3, "loss": 0.5}, path)


def _one_tensor(path: Path) -> None:
    torch.save(torch.ones(3), path)


def _lacking(path: Path) -> None:
    state = state_dict()
    del state["fc.bias"]
    torch.save(state, path)


def _another_model(path: Path) -> None:
    torch.save({**state_dict(), "classifier.weight": torch.ones(2, 2)}, path)


FILES: dict[str, tuple[str, Callable[[Path], None], Sequence[str]]] = {
    "a whole module": ("a.pth", _whole_module, ("could run code", "model.state_dict()")),
    "TorchScript": ("a.pt", _torchscript, ("TorchScript", "model.state_dict()")),
    "TorchScript by another suffix": ("a.pth", _torchscript, ("TorchScript",)),
    "a text": ("a.pth", _text, ("not a file of PyTorch weights",)),
    "a text as safetensors": ("a.safetensors", _text, ("cannot be read as safetensors",)),
    "a file that was cut off": ("a.pth", _cut_off, ("not a file of PyTorch weights",)),
    "no tensors": ("a.pth", _only_numbers, ("no state dict", "'epoch'")),
    "one tensor": ("a.pth", _one_tensor, ("a Tensor, no state dict",)),
    "one weight is missing": ("a.pth", _lacking, ("fc.bias is missing",)),
    "one weight too many": ("a.pth", _another_model, ("classifier.weight",)),
}
OPTIONS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "no such file": ((*ARCH, "--weights", "nowhere.pth"), ("nowhere.pth does not exist",)),
    "no such weights": (
        (*ARCH, "--weights", "IMAGENET1K_V9"),
        ("IMAGENET1K_V9", "IMAGENET1K_V1", "none"),
    ),
    "no such architecture": (("--arch", "shufflenet"), ("'shufflenet'", "shufflenet_v2_x1_0")),
    "no such layer": ((*MANY, "--layer", "stage9"), ("stage9", "stage4")),
    "a layer without a map": ((*MANY, "--layer", "fc"), ("fc", "conv5")),
    "no such method": ((*MANY, "--method", "guidedcam"), ("guidedcam", "gradcam")),
    "no such limit": ((*MANY, "--limit", "max_pixel=3"), ("max_pixel", "max_pixels")),
    "a limit's value": ((*MANY, "--limit", "max_pixels=many"), ("max_pixels", "many")),
    "a limit without a value": ((*MANY, "--limit", "max_pixels"), ("KEY=VALUE",)),
    "a crop size": ((*MANY, "--crop-size", "12xx"), ("--crop-size", "HxW")),
    "a queue that holds no batch": (
        (*MANY, "--batch-size", "8", "--queue-size", "7"),
        ("--queue-size 7", "--batch-size 8"),
    ),
    "a size of nothing": ((*MANY, "--resize", "0"), ("--resize", "above 0")),
    "a name": ((*MANY, "--model-name", "my model"), ("--model-name 'my model'",)),
    "a version": ((*MANY, "--version", "new"), ("--version 'new'",)),
    "a seed without random weights": ((*ARCH, "--seed", "3"), ("--weights none",)),
    "an option of the architecture": (
        (*MANY, "--arch-option", "widths=3"),
        ("unexpected keyword argument", "widths"),
    ),
}
NAMES: dict[str, tuple[str, str, Sequence[str]]] = {
    "too few": ("a.txt", "ant\nbee\n", ("2 classes", "4")),
    "too many": ("a.json", '["a", "b", "c", "d", "e"]', ("5 classes", "4")),
    "no such class": ("a.json", '{"7": "ant"}', ("'7'", "0 to 3")),
    "numbers": ("a.json", '{"0": 3}', ("class 0 is 3",)),
    "not JSON": ("a.json", "{", ("not JSON",)),
    "a JSON text": ("a.json", '"ant"', ("not a JSON object",)),
}


@pytest.fixture
def refused(packager: Packager, tmp_path: Path) -> Callable[..., str]:
    """Runs the script where it must refuse, and gives its sentence."""

    def run(*arguments: str) -> str:
        folder = tmp_path / "out"
        folder.mkdir()
        (folder / f"{ARCHITECTURE}.mar").write_bytes(b"an older archive")
        packaged = packager.run(*arguments, to=folder)
        assert packaged.code == 2
        assert "sha256" not in packaged.out
        assert "Traceback" not in packaged.err
        sentence = [line for line in packaged.err.splitlines() if "error: " in line]
        assert packaged.err.splitlines()[-1:] == sentence
        assert [path.name for path in folder.iterdir()] == [f"{ARCHITECTURE}.mar"]
        assert (folder / f"{ARCHITECTURE}.mar").read_bytes() == b"an older archive"
        return sentence[0]

    return run


@pytest.mark.parametrize("kind", FILES)
def test_weights_that_are_none(refused: Callable[..., str], tmp_path: Path, kind: str) -> None:
    name, make, parts = FILES[kind]
    make(tmp_path / name)
    sentence = refused(*ARCH, "--weights", str(tmp_path / name))
    for part in parts:
        assert part in sentence


@pytest.mark.parametrize("kind", OPTIONS)
def test_options_that_do_not_fit(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, parts = OPTIONS[kind]
    sentence = refused(*arguments)
    for part in parts:
        assert part in sentence


@pytest.mark.parametrize("kind", NAMES)
def test_class_names_that_do_not_fit(
    refused: Callable[..., str], tmp_path: Path, kind: str
) -> None:
    name, text, parts = NAMES[kind]
    (tmp_path / name).write_text(text)
    sentence = refused(*MANY, "--class-names", str(tmp_path / name))
    for part in parts:
        assert part in sentence


def test_weights_of_another_number_of_classes(refused: Callable[..., str], tmp_path: Path) -> None:
    torch.save(state_dict(), tmp_path / "a.pth")
    sentence = refused(*ARCH, "--weights", str(tmp_path / "a.pth"), "--num-classes", "5")
    assert "fc.weight has shape [4, 1024], expected [5, 1024]" in sentence
    assert "num_classes" in sentence


def test_a_download_without_a_network_says_what_to_use_instead(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # where nobody listens
    monkeypatch.setattr(urllib.request, "_opener", None)
    sentence = refused(*ARCH, "--weights", "DEFAULT")
    assert "could not be downloaded" in sentence
    assert "--weights none --seed 0" in sentence
    assert "--weights FILE" in sentence


def test_the_command_itself_refuses_likewise(tmp_path: Path) -> None:
    script = str(ROOT / "scripts" / "package_model.py")
    done = subprocess.run(
        [sys.executable, script, *MANY, "--layer", "stage9", "--export-path", "out"],
        cwd=tmp_path,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "out").glob("*"))


def test_pictures_too_small_for_the_network_are_refused(tmp_path: Path, packager: Packager) -> None:
    small = ("--arch", "squeezenet1_1", "--weights", "none", "--crop-size", "8")
    packaged = packager.run(*small, to=tmp_path)
    assert packaged.code == 2
    assert "fails on pictures of 8×8" in packaged.err
    assert "Traceback" not in packaged.err
    assert not list(tmp_path.glob("*.mar"))
