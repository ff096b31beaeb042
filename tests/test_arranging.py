"""Precision and memory layout: what is cast and what is not, and what it does to maps."""

import copy
from typing import Any

import pytest
import safetensors.torch
import skimage.data
import torch
from PIL import Image
from torch import Tensor, nn

from archive_dir import one_thread
from gradcam import Ask, EngineFault, Explainer, Outcome
from gradcam.engine.arranging import lay_out, lower_precision
from gradcam.geometry import plan_view
from gradcam.networks import build_network, freeze
from gradcam.pictures.picture import Picture
from gradcam.pictures.preprocess import normalise, show
from gradcam.settings import Preprocessing
from gradcam.survey.readout import Readout
from hand_networks import Classifier, frozen, pictures, two_stages
from oracles import full_autograd_map, relative_error
from packaging_options import DEMO_FOLDER

LOW = [torch.bfloat16, torch.float16]
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")


def demo() -> nn.Module:
    """The demo model, trained: random weights say little of what rounding does to a map."""
    network = build_network("demo_net", 10)
    network.load_state_dict(safetensors.torch.load_file(DEMO_FOLDER / "weights.safetensors"))
    return freeze(network.eval())


def photographs() -> Tensor:
    preprocessing = Preprocessing(resize=48, crop_size=(48, 48))
    seen = []
    for name in PHOTOGRAPHS:
        picture = Picture.of(Image.fromarray(getattr(skimage.data, name)()))
        view = plan_view(picture.frame, preprocessing)
        seen.append(show(picture, view, preprocessing.interpolation))
    return normalise(seen, preprocessing, torch.device("cpu"))


def answers(explainer: Explainer, batch: Tensor) -> list[Outcome]:
    with one_thread():
        found = explainer.run(batch, [Ask()] * len(batch))
    assert all(isinstance(one, Outcome) for one in found)
    return [one for one in found if isinstance(one, Outcome)]


# --- precision ---


@pytest.mark.parametrize("dtype", LOW, ids=str)
def test_statistics_and_the_last_linear_layer_stay_in_full(dtype: torch.dtype) -> None:
    network = demo()
    lower_precision(network, dtype, Readout(), torch.randn(1, 3, 48, 48))

    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_var is not None
            assert module.running_var.dtype == module.weight.dtype == torch.float32
        elif isinstance(module, nn.Conv2d):
            assert module.weight.dtype == dtype
    assert network.get_submodule("fc").weight.dtype == torch.float32
    assert network(torch.randn(2, 3, 48, 48, dtype=dtype)).dtype == torch.float32


@pytest.mark.parametrize("dtype", LOW, ids=str)
def test_maps_and_predictions_of_a_trained_model_hardly_change(dtype: torch.dtype) -> None:
    batch = photographs()
    exact = answers(Explainer(demo(), (48, 48)), batch)
    lower = answers(Explainer(demo(), (48, 48), dtype=dtype), batch)

    for full, low in zip(exact, lower, strict=True):
        assert low.logits.dtype == low.maps[0].values.dtype == torch.float32
        assert low.maps[0].index == full.maps[0].index
        assert (low.logits - full.logits).abs().max() < 0.02 * full.logits.abs().max()
        one, other = (found.maps[0].values.flatten().double() for found in (low, full))
        assert torch.nn.functional.cosine_similarity(one, other, dim=0) > 0.995


def test_the_layers_are_those_of_full_precision() -> None:
    assert Explainer(demo(), (48, 48), dtype=torch.bfloat16).layers == (
        Explainer(demo(), (48, 48)).layers
    )


def test_further_passes_work_in_half_precision_too() -> None:
    explainer = Explainer(demo(), (48, 48), dtype=torch.bfloat16)
    ask = Ask(method="ablationcam", score=True, flip=True, smooth=2)
    with one_thread():
        (outcome,) = explainer.run(photographs()[:1], [ask])
    assert isinstance(outcome, Outcome)
    assert outcome.maps[0].faithfulness is not None


class Exportable(nn.Module):
    """A convolution, its normalisation, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.norm(self.conv(x)).relu().mean(dim=(2, 3)))
        return logits


def test_of_an_exported_network_whose_modules_have_no_type_too() -> None:
    torch.manual_seed(0)
    program = torch.export.export(
        frozen(Exportable()),
        (torch.zeros(2, 3, 12, 12),),
        dynamic_shapes=({0: torch.export.Dim("batch")},),
    )
    network = torch.export.unflatten(program)
    full = network(pictures(3))
    lower_precision(network, torch.bfloat16, Readout(), pictures(1))
    kept = {name: held.dtype for name, held in network.state_dict().items()}
    assert kept["conv.weight"] == torch.bfloat16
    assert {kept["norm.running_var"], kept["norm.weight"], kept["fc.weight"]} == {torch.float32}
    logits = network(pictures(3).bfloat16())
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, full, rtol=0.02, atol=0.02)


class MergesRowsAndChannels(nn.Module):
    """Views groups of channels as pictures: of one picture channels last, but not of two."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        features = self.conv(x)
        groups = features.view(len(x) * 2, 4, *features.shape[2:])
        features = (groups * groups.mean(dim=1, keepdim=True).sigmoid()).view_as(features)
        logits: Tensor = self.fc(features.mean(dim=(2, 3)))
        return logits


def test_what_takes_one_picture_channels_last_but_not_two_is_left_as_it_is() -> None:
    network = frozen(MergesRowsAndChannels())
    last = pictures(2).contiguous(memory_format=torch.channels_last)
    network.to(memory_format=torch.channels_last)
    network(last[:1])
    with pytest.raises(RuntimeError, match="view"):
        network(last)

    found = answers(Explainer(network, (12, 12), channels_last=None), pictures(3))

    expected = answers(Explainer(network, (12, 12), channels_last=False), pictures(3))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.maps[0].values, other.maps[0].values)
    with pytest.raises(EngineFault, match="view"):
        Explainer(network, (12, 12), channels_last=True)


class MakesFloats(nn.Module):
    """Adds numbers of its own that nobody can cast."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Conv2d(4, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        features = self.conv(x) + torch.ones(1, dtype=torch.float32)
        logits: Tensor = self.fc(features).mean(dim=(2, 3))
        return logits


def test_a_network_that_cannot_compute_so_is_refused_at_load() -> None:
    Explainer(frozen(MakesFloats()), (12, 12))
    with pytest.raises(EngineFault, match=r"in torch.bfloat16 \(execution: precision\)"):
        Explainer(frozen(MakesFloats()), (12, 12), dtype=torch.bfloat16)


def test_what_overflows_is_refused_at_load() -> None:
    network = demo()
    network.get_parameter("layer1.0.conv1.weight").data.mul_(1e6)
    with pytest.raises(EngineFault, match="not finite"):
        Explainer(network, (48, 48), dtype=torch.float16)


# --- layout ---


class Viewing(nn.Module):
    """Reads its features as they lie in memory, as many older networks do."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(400, 5)

    def forward(self, x: Tensor) -> Tensor:
        features = self.conv(x)
        logits: Tensor = self.fc(features.view(len(x), -1))
        return logits


def test_a_network_that_cannot_take_channels_last_is_left_as_it_was() -> None:
    network = frozen(Viewing())
    explainer = Explainer(copy.deepcopy(network), (12, 12), channels_last=None)
    assert explainer.network.get_parameter("conv.weight").is_contiguous()
    (outcome,) = answers(explainer, pictures(1).contiguous(memory_format=torch.channels_last))
    expected = full_autograd_map(network, "conv", pictures(1)[0], outcome.maps[0].index)
    assert relative_error(outcome.maps[0].values, expected) < 1e-5


def test_it_is_refused_where_channels_last_is_insisted_on() -> None:
    with pytest.raises(EngineFault, match="view size is not compatible"):
        Explainer(frozen(Viewing()), (12, 12), channels_last=True)


@pytest.mark.parametrize("channels_last", [True, None, False])
def test_maps_are_exact_in_either_layout(*, channels_last: bool | None) -> None:
    network = frozen(Classifier(two_stages()))
    explainer = Explainer(copy.deepcopy(network), (12, 12), channels_last=channels_last)
    laid_out = explainer.network.get_parameter("body.0.weight")
    assert laid_out.is_contiguous(memory_format=torch.channels_last) == (channels_last is not False)
    for layout in (torch.contiguous_format, torch.channels_last):
        for picture, outcome in zip(
            pictures(3),
            answers(explainer, pictures(3).contiguous(memory_format=layout)),
            strict=True,
        ):
            (raw,) = outcome.maps
            expected = full_autograd_map(network, raw.layers[0], picture, raw.index)
            assert relative_error(raw.values, expected) < 1e-5


def test_nothing_but_the_layout_of_a_weight_changes() -> None:
    network: Any = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, 2))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    lay_out(network, torch.channels_last)
    assert network[0].weight.stride() == (27, 1, 9, 3)
    for name, value in network.state_dict().items():
        assert value.equal(before[name])
