"""Archives of timm's models, of the user's own model files and of ``torch.export`` archives."""

import json
import math
import zipfile
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch
from torch import Tensor

import sending
from archive_dir import Served, make_context, one_thread
from exports import SIDE, export, exportable
from gradcam.geometry import plan_view
from gradcam.networks import load_exported
from gradcam.pictures.picture import Picture
from gradcam.pictures.preprocess import normalise, show
from gradcam.settings import read_settings
from gradcam_handler import GradCAMHandler
from packaging_runs import FILE, MANY, Packager, config_in, equal, read, weights_in
from pictures import cat, cat_png
from timm_source import read_timm_card


@pytest.fixture
def packager(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Packager:
    return Packager(monkeypatch, capfd)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.py"
    path.write_text(FILE)
    return path


def served(archive: Path, folder: Path) -> Served:
    """The handler, loaded as a worker does from the unpacked archive."""
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    model = json.loads((folder / "MAR-INF" / "MANIFEST.json").read_text())["model"]
    context = make_context(folder, config_in(archive), model)
    handler = GradCAMHandler()
    with one_thread():
        handler.initialize(context)
    return Served(handler, context, folder)


def logits(answer: sending.Answer) -> dict[str, float]:
    return {entry["label"]: entry["logit"] for entry in answer.document()["predictions"]}


# --- timm ---


def test_a_timm_checkpoint_brings_timms_preprocessing_and_needs_timm(
    packager: Packager, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = timm.create_model("resnet10t", num_classes=7)
    weights = tmp_path / "resnet.safetensors"
    safetensors.torch.save_file(network.state_dict(), weights)
    archive = packager.make("--timm", "resnet10t", "--weights", str(weights), to=tmp_path / "out")
    assert archive.name == "resnet10t.mar"
    assert equal(weights_in(archive), network.state_dict())
    section = config_in(archive)["handler"]["gradcam"]
    assert (section["source"], section["architecture"]) == ("timm", "resnet10t")
    assert section["num_classes"] == 7  # read off the weights
    told = timm.data.resolve_model_data_config(network)
    assert section["preprocessing"] == {
        "resize": math.floor(told["input_size"][-1] / told["crop_pct"]),
        "crop_size": list(told["input_size"][1:]),
        "squash": False,
        "interpolation": told["interpolation"],
        "mean": list(told["mean"]),
        "std": list(told["std"]),
    }
    required = read(archive, "requirements.txt").decode().split()
    assert [line for line in required if line.startswith("timm")] == ["timm>=1.0"]


def test_a_timm_model_for_imagenet_has_its_labels_and_the_tags_name(
    packager: Packager, tmp_path: Path
) -> None:
    archive = packager.make("--timm", "resnet10t.c3_in1k", "--weights", "none", to=tmp_path)
    assert archive.name == "resnet10t.c3_in1k.mar"
    names = json.loads(read(archive, "index_to_name.json"))
    assert names["386"] == ["n02504458", "African elephant"]
    section = config_in(archive)["handler"]["gradcam"]
    assert (section["architecture"], section["num_classes"]) == ("resnet10t.c3_in1k", 1000)


@pytest.mark.parametrize(
    "name",
    [
        "resnet10t.c3_in1k",  # bicubic, a crop of 0.95
        "cspdarknet53.ra_in1k",  # bilinear
        "coat_lite_medium_384.in1k",  # squashed
        "vit_tiny_patch16_224.augreg_in21k_ft_in1k",  # means of 0.5
    ],
)
@pytest.mark.parametrize("size", [(451, 300), (240, 517)])
def test_pictures_are_prepared_as_timms_own_evaluation_does(
    name: str, size: tuple[int, int]
) -> None:
    picture = cat().resize(size)
    card, notes = read_timm_card(name)
    assert notes == []
    preprocessing = read_settings(
        {
            "handler": {
                "gradcam": {
                    "architecture": name,
                    "num_classes": card.num_classes,
                    "preprocessing": card.preprocessing,
                }
            }
        }
    ).preprocessing
    decoded = Picture.of(picture)
    shown = show(decoded, plan_view(decoded.frame, preprocessing), preprocessing.interpolation)
    found = normalise([shown], preprocessing, torch.device("cpu"))[0]
    told = timm.data.resolve_data_config(
        {}, pretrained_cfg=timm.models.get_pretrained_cfg(name).to_dict()
    )
    expected = timm.data.create_transform(**told)(picture)
    assert found.shape == expected.shape
    level = 1 / (255 * min(preprocessing.std))
    assert torch.allclose(found, expected, atol=level * 1.001)


def test_what_timm_evaluates_otherwise_is_said() -> None:
    card, (note,) = read_timm_card("dm_nfnet_f0.dm_in1k")  # squashed to more than is shown
    assert card.preprocessing["squash"] is True
    assert "'squash'" in note


# --- the user's own file ---


def test_a_model_file_goes_into_the_archive_and_is_served(
    packager: Packager, tmp_path: Path, file: Path
) -> None:
    weights = tmp_path / "small.pth"
    state: dict[str, Tensor] = {
        "features.0.weight": torch.rand(5, 3, 3, 3) - 0.4,
        "features.0.bias": torch.zeros(5),
        "fc.weight": torch.rand(2, 5),
        "fc.bias": torch.tensor([0.5, -0.5]),
    }
    torch.save(state, weights)
    given = ("--arch-option", "classes=2", "--arch-option", "width=5", "--crop-size", "32")
    line = ("--model-file", str(file), "--weights", str(weights), *given)
    archive = packager.make(*line, "--mean=0,0,0", "--std=1,1,1", to=tmp_path / "out")
    assert archive.name == "small.mar"
    assert read(archive, "model.py") == FILE.encode()
    assert equal(weights_in(archive), state)
    assert json.loads(read(archive, "MAR-INF/MANIFEST.json"))["model"]["modelFile"] == "model.py"
    section = config_in(archive)["handler"]["gradcam"]
    assert (section["source"], section["architecture"]) == ("file", "Small")
    assert section["architecture_options"] == {"classes": 2, "width": 5}
    assert section["num_classes"] == 2  # counted
    preprocessing = section["preprocessing"]
    assert (preprocessing["mean"], preprocessing["std"]) == ([0, 0, 0], [1, 1, 1])
    first = archive.read_bytes()
    assert packager.make(*line, "--mean=0,0,0", "--std=1,1,1", to=tmp_path / "out") == archive
    assert archive.read_bytes() == first

    answer = served(archive, tmp_path / "served").ask(sending.raw(cat_png()))

    assert answer.status == 200
    assert answer.document()["model"]["architecture"] == "Small"
    assert answer.document()["explanations"][0]["layer"] == "features"
    assert set(logits(answer)) == {"0", "1"}


def test_it_is_said_that_imagenets_normalisation_is_assumed(
    packager: Packager, tmp_path: Path, file: Path
) -> None:
    line = ("--model-file", str(file), "--weights", "none")
    assert "ImageNet's mean" in packager.run(*line, to=tmp_path / "a").err
    told = packager.run(*line, "--mean", "0.5,0.5,0.5", "--std", "1,1,1", to=tmp_path / "b").err
    assert "ImageNet's mean" not in told


def test_seeded_weights_of_a_model_file_are_reproducible(
    packager: Packager, tmp_path: Path, file: Path
) -> None:
    line = ("--model-file", str(file), "--weights", "none", "--seed")
    archives = [
        packager.make(*line, seed, to=tmp_path / str(number)).read_bytes()
        for number, seed in enumerate(["1", "1", "2"])
    ]
    assert archives[0] == archives[1] != archives[2]


# --- torch.export ---


def test_an_exported_model_is_packaged_without_its_pickles_and_served(
    packager: Packager, tmp_path: Path
) -> None:
    network = exportable()
    exported = export(network, tmp_path / "tiny.pt2")
    archive = packager.make("--exported", str(exported), to=tmp_path / "out")
    assert archive.name == "tiny.mar"
    section = config_in(archive)["handler"]["gradcam"]
    assert (section["source"], section["architecture"]) == ("exported", "tiny")
    assert section["num_classes"] == 5
    assert section["preprocessing"]["crop_size"] == [SIDE, SIDE]  # what the export takes
    inside = tmp_path / "inside.pt2"
    inside.write_bytes(read(archive, "model.pt2"))
    with zipfile.ZipFile(inside) as file:
        assert file.read("model/data/sample_inputs/model.pt") == b""
    batch = torch.randn(3, 3, SIDE, SIDE)
    assert torch.allclose(load_exported(inside)(batch), network(batch), atol=1e-6)
    first = archive.read_bytes()
    packager.make("--exported", str(exported), to=tmp_path / "out")
    assert archive.read_bytes() == first

    answer = served(archive, tmp_path / "served").ask(sending.raw(cat_png()))

    assert answer.status == 200
    assert answer.document()["explanations"][0]["layer"] == "relu"


def test_a_bound_on_the_batch_becomes_a_limit(packager: Packager, tmp_path: Path) -> None:
    exported = export(exportable(), tmp_path / "bound.pt2", most=6)
    told = packager.run("--exported", str(exported), to=tmp_path / "out")
    assert told.code == 2
    assert "at most 6 pictures at once; add --limit max_rows=6" in told.err
    packager.make("--exported", str(exported), "--limit", "max_rows=6", to=tmp_path / "out")


# --- logits and classes ---


def test_one_logit_names_two_classes(packager: Packager, tmp_path: Path, file: Path) -> None:
    line = ("--model-file", str(file), "--weights", "none", "--arch-option", "classes=1")
    told = packager.run(*line, to=tmp_path / "plain")
    assert told.code == 0, told.err
    assert "one logit" in told.err
    archive = tmp_path / "plain" / "small.mar"
    section = config_in(archive)["handler"]["gradcam"]
    assert (section["num_classes"], section["activation"]) == (1, "sigmoid")
    assert json.loads(read(archive, "index_to_name.json")) == {"0": "negative", "1": "positive"}

    names = tmp_path / "names.json"
    names.write_text('{"0": "benign", "1": "malignant"}')
    archive = packager.make(*line, "--class-names", str(names), to=tmp_path / "named")
    assert json.loads(read(archive, "index_to_name.json")) == {"0": "benign", "1": "malignant"}


def test_activation_output_and_layers_end_up_in_the_configuration(
    packager: Packager, tmp_path: Path
) -> None:
    options = ("--activation", "sigmoid", "--layer", "stage3, stage4")
    archive = packager.make(*MANY, *options, "--interpolation", "bicubic", to=tmp_path)
    section = config_in(archive)["handler"]["gradcam"]
    assert section["activation"] == "sigmoid"
    assert section["layer"] == ["stage3", "stage4"]
    assert section["preprocessing"]["interpolation"] == "bicubic"
    assert "source" not in section  # nothing changes for torchvision's


def test_a_model_of_another_source_is_current_until_its_file_changes(
    packager: Packager, tmp_path: Path, file: Path
) -> None:
    line = ("--model-file", str(file), "--weights", "none", "--if-changed")
    archive = packager.make(*line, to=tmp_path / "out")
    made = archive.stat().st_mtime_ns
    assert packager.run(*line, to=tmp_path / "out").code == 0
    assert archive.stat().st_mtime_ns == made
    file.write_text(FILE.replace("width=6", "width=7"))
    packager.make(*line, to=tmp_path / "out")
    assert weights_in(archive)["fc.weight"].shape == (4, 7)
