"""What ``scripts/package_model.py`` makes: a reproducible archive with the right contents."""

import ast
import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor
from torchvision import models

from packaging_runs import (
    ARCHITECTURE,
    MANY,
    Packager,
    config_in,
    equal,
    read,
    state_dict,
    weights_in,
)
from repository import ROOT

SERVED = {"torch", "torchvision", "numpy", "PIL", "cv2", "safetensors"}


@pytest.fixture
def packager(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Packager:
    return Packager(monkeypatch, capfd)


def test_the_same_inputs_give_the_same_bytes(packager: Packager, tmp_path: Path) -> None:
    packaged = packager.run(*MANY, to=tmp_path / "here")
    assert packaged.code == 0, packaged.err
    # another folder, process, time zone, file mode, hash seed, working directory, and a later time
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "package_model.py"), *MANY, "--export-path=there"],
        cwd=tmp_path,
        env={**os.environ, "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7"},
        umask=0o077,
        capture_output=True,
        text=True,
        check=True,
        timeout=180,
    )
    here, there = (tmp_path / folder / f"{ARCHITECTURE}.mar" for folder in ("here", "there"))
    assert here.read_bytes() == there.read_bytes()
    digest = hashlib.sha256(here.read_bytes()).hexdigest()
    for printed, archive in ((packaged.out, here), (done.stdout, Path("there") / here.name)):
        (line,) = printed.splitlines()
        assert line.endswith(f"{here.stat().st_size} bytes  sha256 {digest}")
        assert str(archive) in line
    another = packager.run(*MANY, "--seed", "4", to=tmp_path / "here")
    assert digest not in another.out


def test_it_holds_what_torchserve_needs_and_our_code(packager: Packager, tmp_path: Path) -> None:
    archive = packager.make(*MANY, "--model-name", "mine", "--version", "3.1", to=tmp_path)
    assert archive == tmp_path / "mine.mar"
    handlers = ROOT / "handlers"
    code = [handlers / "gradcam_handler.py", *(handlers / "gradcam").rglob("*.py")]
    with zipfile.ZipFile(archive) as file:
        assert set(file.namelist()) == {
            "MAR-INF/MANIFEST.json",
            "weights.safetensors",
            "index_to_name.json",
            "model-config.yaml",
            "requirements.txt",
            *(str(path.relative_to(handlers)) for path in code),
        }
        assert file.testzip() is None
    for path in code:
        assert read(archive, str(path.relative_to(handlers))) == path.read_bytes()
    model = json.loads(read(archive, "MAR-INF/MANIFEST.json"))["model"]
    assert model == {
        "modelName": "mine",
        "modelVersion": "3.1",
        "handler": "gradcam_handler.py",
        "serializedFile": "weights.safetensors",
        "configFile": "model-config.yaml",
        "requirementsFile": "requirements.txt",
    }
    required = read(archive, "requirements.txt").decode().split()
    assert {line.split(">=")[0] for line in required} == {
        "torch",
        "torchvision",
        "numpy",
        "pillow",
        "opencv-python-headless",
        "safetensors",
    }


def test_served_code_imports_only_what_it_says(packager: Packager, tmp_path: Path) -> None:
    archive = packager.make(*MANY, to=tmp_path)
    found: set[str] = set()
    with zipfile.ZipFile(archive) as file:
        sources = [name for name in file.namelist() if name.endswith(".py")]
        trees = [ast.parse(file.read(name)) for name in sources]
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "importlib.import_module":
            assert ast.unparse(node) == "importlib.import_module('timm')"  # for its archives only
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            found.add(str(node.module).split(".")[0])
    assert "torch" in found
    assert found <= {*sys.stdlib_module_names, *SERVED, "gradcam"}


def test_options_end_up_in_the_configuration(packager: Packager, tmp_path: Path) -> None:
    archive = packager.make(
        *MANY,
        *("--layer", "stage3", "--method", "gradcam", "--resize", "200", "--crop-size", "160x192"),
        *("--batch-size", "3", "--max-batch-delay", "70", "--workers", "2", "--queue-size", "20"),
        *("--limit", "max_pixels=1000000", "--limit", "max_targets=2"),
        *("--execution", "precision=bf16", "--execution", "threads=2", "--reduced-decoding"),
        to=tmp_path,
    )
    config = config_in(archive)
    told = {"minWorkers": 2, "maxWorkers": 2, "batchSize": 3, "maxBatchDelay": 70}
    assert {name: config[name] for name in told} == told
    assert config["jobQueueSize"] == 20
    section = config["handler"]["gradcam"]
    assert (section["architecture"], section["num_classes"]) == (ARCHITECTURE, 4)
    assert (section["layer"], section["method"]) == ("stage3", "gradcam")
    assert section["limits"] == {"max_pixels": 1_000_000, "max_targets": 2}
    assert section["execution"] == {"precision": "bf16", "threads": 2}
    preprocessing = section["preprocessing"]
    assert preprocessing["reduced_decoding"] is True
    assert (preprocessing["resize"], preprocessing["crop_size"]) == (200, [160, 192])
    assert preprocessing["squash"] is False


def test_a_torchvision_model_brings_its_preprocessing_and_labels(
    packager: Packager, tmp_path: Path
) -> None:
    archive = packager.make("--arch", "squeezenet1_1", "--weights", "none", "--squash", to=tmp_path)
    preset = models.SqueezeNet1_1_Weights.DEFAULT.transforms()
    assert config_in(archive)["handler"]["gradcam"]["preprocessing"] == {
        "resize": preset.resize_size[0],
        "crop_size": preset.crop_size * 2,
        "squash": True,
        "interpolation": "bilinear",
        "mean": preset.mean,
        "std": preset.std,
    }
    names = json.loads(read(archive, "index_to_name.json"))
    categories = models.SqueezeNet1_1_Weights.DEFAULT.meta["categories"]
    assert [names[str(index)][-1] for index in range(1000)] == categories
    known = {0: "n01440764", 386: "n02504458", 134: "n02012849", 517: "n03126707", 999: "n15075141"}
    assert {index: names[str(index)][0] for index in known} == known
    assert len({name[0] for name in names.values()}) == 1000


FORMS: dict[str, tuple[str, str]] = {
    "by index": ("a.json", '{"0": "ant", "1": "bee", "2": "Kröte", "3": "drake, male"}'),
    "a JSON list": ("a.json", '["ant", "bee", "Kröte", "drake, male"]'),
    "object_type_names": (
        "a.json",
        '{"object_type_names": ["ant", "bee", "Kröte", "drake, male"]}',
    ),
    "one label a line": ("a.txt", "ant\nbee\nKröte\ndrake, male\n"),
    "with a byte order mark": ("a.txt", "\ufeffant\r\nbee\r\nKröte\r\ndrake, male\r\n"),
}


@pytest.mark.parametrize("form", FORMS)
def test_class_names_in_every_form(packager: Packager, tmp_path: Path, form: str) -> None:
    name, text = FORMS[form]
    names = tmp_path / name
    names.write_text(text, encoding="utf-8", newline="")
    arguments = (*MANY[:-2], "--class-names", str(names))  # they say how many classes there are
    archive = packager.make(*arguments, to=tmp_path / "out")
    labels = {"0": "ant", "1": "bee", "2": "Kröte", "3": "drake, male"}
    assert json.loads(read(archive, "index_to_name.json")) == labels
    assert config_in(archive)["handler"]["gradcam"]["num_classes"] == 4


def test_class_names_with_ids(packager: Packager, tmp_path: Path) -> None:
    names = tmp_path / "names.json"
    given = {"0": ["n1", "ant"], "1": ["n2", "bee"], "2": ["n3", "more", "cat"], "3": "dog"}
    names.write_text(json.dumps(given))
    archive = packager.make(*MANY, "--class-names", str(names), to=tmp_path / "out")
    kept = {**given, "2": ["n3", "cat"]}
    assert json.loads(read(archive, "index_to_name.json")) == kept


Save = Callable[[dict[str, Tensor], Path], None]
FILES: dict[str, tuple[str, Save]] = {
    "safetensors": ("a.safetensors", safetensors.torch.save_file),
    "pth": ("a.pth", torch.save),
    "pt": ("a.pt", torch.save),
    "the old file format": (
        "a.pth",
        lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False),
    ),
    "state_dict within a checkpoint": (
        "a.pth",
        lambda state, path: torch.save({"epoch": 3, "state_dict": state}, path),
    ),
    "model within a checkpoint": (
        "a.pt",
        lambda state, path: torch.save({"model": state, "lr": 0.1}, path),
    ),
    "wrapped by DataParallel": (
        "a.pth",
        lambda state, path: torch.save({f"module.{name}": state[name] for name in state}, path),
    ),
    "a wrapped checkpoint": (
        "a.pth",
        lambda state, path: torch.save(
            {"state_dict": {f"module.{name}": state[name] for name in state}}, path
        ),
    ),
}


@pytest.mark.parametrize("kind", FILES)
def test_weights_in_every_kind_of_file(packager: Packager, tmp_path: Path, kind: str) -> None:
    name, save = FILES[kind]
    weights = tmp_path / name
    save(state_dict(), weights)
    archive = packager.make("--arch", ARCHITECTURE, "--weights", str(weights), to=tmp_path / "out")
    assert equal(weights_in(archive), state_dict())
    assert config_in(archive)["handler"]["gradcam"]["num_classes"] == 4  # read off the weights


def test_if_changed_packages_only_what_changed(packager: Packager, tmp_path: Path) -> None:
    archive = packager.make(*MANY, to=tmp_path)
    first, made = archive.read_bytes(), archive.stat().st_mtime_ns
    again = packager.run(*MANY, "--if-changed", to=tmp_path)
    assert (again.code, again.out) == (0, "")
    assert archive.stat().st_mtime_ns == made
    anew = packager.run(*MANY, "--if-changed", "--layer", "stage3", to=tmp_path)
    assert f"{archive} was made from other options or files, and is made anew" in anew.out
    assert archive.read_bytes() != first
    packager.make(*MANY, "--if-changed", to=tmp_path)
    assert archive.read_bytes() == first
    archive.write_bytes(b"cut off")
    packager.make(*MANY, "--if-changed", to=tmp_path)
    assert archive.read_bytes() == first


def test_a_regnet_is_packaged_from_a_file(tmp_path: Path, packager: Packager) -> None:
    weights = tmp_path / "weights.pth"
    torch.save(models.regnet_y_400mf(num_classes=3).state_dict(), weights)
    out = tmp_path / "out"
    archive = packager.make("--arch", "regnet_y_400mf", "--weights", str(weights), to=out)
    assert archive.name == "regnet_y_400mf.mar"
