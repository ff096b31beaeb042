"""What cannot be packaged of timm, of the user's own files and of ``torch.export`` archives."""

from collections.abc import Sequence
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch

from exports import SIDE, export, exportable, pickled, rewrite
from packaging_runs import FILE, MANY, Packager

TIMM = ("--timm", "resnet10t", "--weights", "none", "--num-classes", "3")

REFUSED: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "no source": ((), ("exactly one of --arch, --timm, --model-file and --exported",)),
    "two sources": (
        (*MANY, "--timm", "resnet10t"),
        ("exactly one of", "not --arch and --timm"),
    ),
    "no such timm model": (("--timm", "resnet_10t"), ("'resnet_10t'", "resnet10t")),
    "no such tag": ((*TIMM[:2], "--weights", "nowhere"), ("resnet10t.nowhere", "c3_in1k")),
    "an option that timm does not take": (
        (*TIMM, "--arch-option", "heads=3"),
        ("resnet10t", "heads"),
    ),
    "no model file": (("--model-file", "no.py", "--weights", "none"), ("no.py does not exist",)),
    "no weights for it": (("--model-file", "small.py"), ("--weights FILE", "--weights none")),
    "two classes": (
        ("--model-file", "two.py", "--weights", "none"),
        ("2 nn.Module classes (Block, Net)", "exactly one"),
    ),
    "an option that it does not take": (
        ("--model-file", "small.py", "--weights", "none", "--arch-option", "depth=3"),
        ("Small", "cannot be constructed", "'depth'"),
    ),
    "weights that do not fit it": (
        ("--model-file", "small.py", "--weights", "other.pth"),
        ("the weights do not fit Small: features.0.weight is missing",),
    ),
    "pictures that it does not take": (
        ("--model-file", "small.py", "--weights", "none", "--crop-size", "2"),
        ("fails on a picture of 2×2", "--crop-size"),
    ),
    "no exported model": (("--exported", "no.pt2"), ("no.pt2 does not exist",)),
    "another file": (("--exported", "other.pth"), ("other.pth", "could run code")),
    "a pickled entry": (("--exported", "pickled.pt2"), ("data/weights/model.pt", "pickled")),
    "a fixed batch": (("--exported", "static.pt2"), ("batches of exactly 2", "dynamic_shapes")),
    "weights for an exported model": (
        ("--exported", "static.pt2", "--weights", "other.pth"),
        ("--exported holds network and weights",),
    ),
    "another size": (
        ("--exported", "tiny.pt2", "--crop-size", "32"),
        (f"pictures of {SIDE}×{SIDE} only",),
    ),
    "an output of a network that gives one": (
        (*MANY, "--output", "logits"),
        ("has no 'logits'", "a Tensor"),
    ),
    "a place before the first": (
        (*MANY, "--output", "-1"),
        ("--output '-1' is not a place", "count from 0"),
    ),
    "a mean of two": ((*MANY, "--mean", "0.5,0.5"), ("--mean '0.5,0.5'", "three numbers")),
    "a deviation of nothing": ((*MANY, "--std", "0,1,1"), ("std", "three positive numbers")),
    "a class name too many": (
        ("--model-file", "small.py", "--weights", "none", "--class-names", "three.json"),
        ("3 classes", "4"),
    ),
}


@pytest.fixture
def packager(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Packager:
    return Packager(monkeypatch, capfd)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that are in order, and files that are not."""
    folder = tmp_path_factory.mktemp("sources")
    (folder / "small.py").write_text(FILE)
    (folder / "two.py").write_text(
        "from torch import nn\nclass Block(nn.Module): ...\nclass Net(nn.Module): ...\n"
    )
    (folder / "three.json").write_text('["ant", "bee", "cat"]')
    torch.save({"conv.weight": torch.ones(1)}, folder / "other.pth")
    export(exportable(), folder / "static.pt2", dynamic=False)
    tiny = export(exportable(), folder / "tiny.pt2")
    state = pickled({"stem.0.weight": torch.ones(1)})
    rewrite(tiny, folder / "pickled.pt2", added={"data/weights/model.pt": state})
    return folder


@pytest.mark.parametrize("kind", REFUSED)
def test_what_does_not_fit_is_refused_in_one_sentence(
    packager: Packager,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    monkeypatch.chdir(folder)
    arguments, parts = REFUSED[kind]
    packaged = packager.run(*arguments, to=tmp_path)
    assert packaged.code == 2
    assert "Traceback" not in packaged.err
    (sentence,) = [line for line in packaged.err.splitlines() if line.startswith("error: ")]
    for part in parts:
        assert part in sentence
    assert not list(tmp_path.iterdir())


def test_timm_weights_that_cannot_be_downloaded_say_what_to_use_instead(
    packager: Packager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    packaged = packager.run("--timm", "resnet10t", to=tmp_path / "out")
    assert packaged.code == 2
    assert "could not be downloaded" in packaged.err
    assert "--weights none --seed 0" in packaged.err
