"""A packaged model opened within this process gives what its network gives."""

import zipfile
from pathlib import Path

import pytest
import torch

from archived_model import open_archive, open_model
from gradcam import Outcome
from gradcam.errors import SettingsError
from gradcam.networks import load_network
from packaging_options import DEMO_FOLDER, PackagingOptions
from state_files import read_state_file


def test_the_demo_model_opens_as_it_is_packaged() -> None:
    model = open_model(PackagingOptions(arch="demo_net"))
    assert (model.name, model.named_layer) == ("demo", None)
    assert model.explainer.layers.default == "layer3"
    assert model.classes[3].label == "cat"
    assert model.settings.preprocessing.crop_size == (48, 48)
    noise = torch.randn((1, 3, 48, 48), generator=torch.Generator().manual_seed(0))
    state = read_state_file(DEMO_FOLDER / "weights.safetensors")
    (outcome,) = model.explainer.run(noise, [None])
    assert isinstance(outcome, Outcome)
    exact = load_network("demo_net", 10, state).double()(noise.double())[0]
    # of two computations in float32 neither is right, and near zero they differ by more than 1e-5
    assert (outcome.logits.double() - exact).abs().max() < 1e-6 * exact.abs().max()


def test_a_layer_that_the_settings_name_is_told() -> None:
    options = PackagingOptions(
        arch="shufflenet_v2_x0_5",
        weights="none",
        num_classes=4,
        layer="stage3",
        crop_size="64",
        model_name="mine",
    )
    model = open_model(options)
    assert (model.name, model.named_layer, len(model.classes)) == ("mine", "stage3", 4)


def test_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.mar"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("MAR-INF/MANIFEST.json", '{"model": {"modelName": "other"}}')
    for wrong in (path, tmp_path / "nowhere.mar"):
        with pytest.raises(SettingsError, match=r"is not an archive that package_model\.py made"):
            open_archive(wrong)
