"""One model of every family of torchvision and of ten of timm, against independent oracles."""

from typing import NamedTuple

import pytest
import timm
import torch
from captum.attr import LayerGradCam
from torch import Tensor, nn

from gradcam import Ask, Explainer, Outcome
from gradcam.networks import build_network
from gradcam.survey.layers import Layer, survey_layers
from hand_networks import pictures
from oracles import (
    Arrange,
    as_it_is,
    channels_last,
    full_autograd_map,
    relative_error,
    token_grid,
)

INDEX = 7


class Family(NamedTuple):
    """One model, the size of its input, and the layer and grid that its map should have."""

    name: str
    side: int
    layer: str
    grid: int


FAMILIES = (
    Family("alexnet", 224, "features.11", 13),
    Family("vgg11", 224, "features.19", 14),
    Family("vgg11_bn", 224, "features.27", 14),
    Family("resnet18", 224, "layer4", 7),
    Family("resnext50_32x4d", 224, "layer4", 7),
    Family("wide_resnet50_2", 224, "layer4", 7),
    Family("densenet121", 224, "features", 7),
    Family("squeezenet1_1", 224, "features", 13),
    Family("googlenet", 224, "inception5b", 7),
    Family("inception_v3", 299, "Mixed_7c", 8),
    Family("mobilenet_v2", 224, "features", 7),
    Family("mobilenet_v3_small", 224, "features", 7),
    Family("mnasnet0_5", 224, "layers", 7),
    Family("shufflenet_v2_x0_5", 224, "conv5", 7),
    Family("regnet_x_400mf", 224, "trunk_output", 7),
    Family("regnet_y_400mf", 224, "trunk_output", 7),
    Family("efficientnet_b0", 224, "features", 7),
    Family("efficientnet_v2_s", 224, "features", 7),
    Family("convnext_tiny", 224, "features", 7),
)


class Other(NamedTuple):
    """A model whose tensors may have any layout."""

    name: str
    side: int
    layer: str
    grid: int
    arrange: Arrange = as_it_is
    bypassed: bool = False


OTHERS = (
    Other(
        "vit_b_32",
        224,
        "encoder.layers.encoder_layer_11.ln_1",
        7,
        token_grid(1, 7, 7),
        bypassed=True,
    ),
    Other("swin_t", 224, "permute", 7),
    Other("swin_v2_t", 256, "permute", 8),
    Other("maxvit_t", 224, "blocks.3", 7),
    Other("timm/resnet26d", 224, "layer4", 7),
    Other("timm/regnety_002", 224, "s4", 7),
    Other("timm/tf_efficientnetv2_b0", 224, "bn2", 7),
    Other("timm/convnextv2_atto", 224, "stages", 7),
    Other("timm/vit_little_patch16_reg4_gap_256", 256, "blocks", 16, token_grid(4, 16, 16)),
    Other(
        "timm/deit_tiny_distilled_patch16_224",
        224,
        "blocks.11.norm1",
        14,
        token_grid(2, 14, 14),
        True,
    ),
    Other("timm/swinv2_cr_tiny_224", 224, "stages", 7),
    Other("timm/swin_tiny_patch4_window7_224", 224, "norm", 7, channels_last),
    Other("timm/eva02_tiny_patch14_224", 224, "blocks.11", 16, token_grid(1, 16, 16)),
    Other("timm/maxvit_tiny_rw_224", 224, "norm", 7),
    Other("timm/mixer_s32_224", 224, "norm", 7, token_grid(0, 7, 7)),
)

# Their shapes are surveyed without any numbers, so that size costs nothing.
LARGE = (
    Family("vgg13", 224, "features.23", 14),
    Family("vgg16", 224, "features.29", 14),
    Family("vgg16_bn", 224, "features.42", 14),
    Family("vgg19", 224, "features.35", 14),
    Family("vgg19_bn", 224, "features.51", 14),
    Family("densenet161", 224, "features", 7),
    Family("densenet201", 224, "features", 7),
    Family("resnet50", 224, "layer4", 7),
    Family("resnet152", 224, "layer4", 7),
    Family("resnext101_64x4d", 224, "layer4", 7),
    Family("mobilenet_v3_large", 224, "features", 7),
    Family("efficientnet_b7", 600, "features", 19),
    Family("convnext_large", 224, "features", 7),
)


class Case(NamedTuple):
    """A network with seeded weights, its engine, and one picture with its map."""

    family: Family
    network: nn.Module
    explainer: Explainer
    picture: Tensor
    values: Tensor


def redrawn(network: nn.Module) -> nn.Module:
    """Frozen, with running statistics of its own and without linear maps of zeros."""
    network.eval().requires_grad_(requires_grad=False)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
        if isinstance(module, nn.Linear) and not module.weight.any():
            module.weight.normal_(0, 0.02)
    return network


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda family: family.name)
def case(request: pytest.FixtureRequest) -> Case:
    family: Family = request.param
    torch.manual_seed(0)
    options = {"init_weights": False} if family.name in {"googlenet", "inception_v3"} else {}
    network = redrawn(build_network(family.name, 1000, options))
    explainer = Explainer(network, (family.side, family.side))
    batch = pictures(1, family.side)
    (outcome,) = explainer.run(batch, [Ask((INDEX,))])
    assert isinstance(outcome, Outcome)
    return Case(family, network, explainer, batch[0], outcome.maps[0].values)


def test_the_default_layer_and_its_grid(case: Case) -> None:
    grid = case.family.grid

    assert case.explainer.layers.default == case.family.layer
    assert case.values.shape == (grid, grid)


def test_the_map_is_that_of_full_autograd_in_float64(case: Case) -> None:
    expected = full_autograd_map(case.network, case.family.layer, case.picture, INDEX)

    assert relative_error(case.values, expected) <= 1e-4


def test_the_map_is_that_of_captum(case: Case) -> None:
    layer = case.network.get_submodule(case.family.layer)
    picture = case.picture[None].clone().requires_grad_()

    expected = LayerGradCam(case.network, layer).attribute(
        picture, target=INDEX, relu_attributions=False, attr_dim_summation=True
    )

    assert relative_error(case.values, expected[0, 0].detach()) <= 1e-4


@pytest.mark.parametrize("other", OTHERS, ids=lambda other: other.name)
def test_the_map_at_the_default_layer_of_any_layout(other: Other) -> None:
    torch.manual_seed(0)
    kind, _, name = other.name.rpartition("/")
    network = redrawn(timm.create_model(name) if kind else build_network(name, 1000))
    explainer = Explainer(network, (other.side, other.side))
    batch = pictures(1, other.side)

    (outcome,) = explainer.run(batch, [Ask((INDEX,))])

    found = explainer.layers.choose(None)
    assert (found.name, found.height, found.width) == (other.layer, other.grid, other.grid)
    assert found.bypassed is other.bypassed
    assert isinstance(outcome, Outcome)
    expected = full_autograd_map(network, other.layer, batch[0], INDEX, other.arrange)
    assert relative_error(outcome.maps[0].values, expected) <= 1e-4


@pytest.mark.parametrize("family", LARGE, ids=lambda family: family.name)
def test_the_default_layer_and_its_grid_in_large_networks(family: Family) -> None:
    with torch.device("meta"):
        network = build_network(family.name, 1000).eval()
        table = survey_layers(network, torch.empty(1, 3, family.side, family.side))

    found = table.choose(None)

    assert isinstance(found, Layer)
    assert (found.name, found.height, found.width) == (family.layer, family.grid, family.grid)


def test_vgg19_around_its_in_place_relu() -> None:
    torch.manual_seed(0)
    network = build_network("vgg19", 50).eval().requires_grad_(requires_grad=False)
    # further up, rounding to float32 now and then decides a ReLU or a maximum otherwise
    layers = ["features.34", "features.35"]
    batch = pictures(2, 64)

    outcomes = Explainer(network, (64, 64)).run(batch, [Ask((INDEX,), layers=(n,)) for n in layers])

    for picture, layer, outcome in zip(batch, layers, outcomes, strict=True):
        assert isinstance(outcome, Outcome)
        expected = full_autograd_map(network, layer, picture, INDEX)
        assert relative_error(outcome.maps[0].values, expected) <= 1e-4
