"""Which layer is the default, and in which layout, where networks work on tokens and windows."""

from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

from gradcam import Ask, Explainer, Outcome, UnusableLayer
from gradcam.survey.layers import Layer, LayerTable, survey_layers
from gradcam.survey.layout import CHANNELS_FIRST, CHANNELS_LAST, Layout
from hand_networks import Classifier, frozen, two_stages
from hand_transformers import (
    Attend,
    ChannelsLast,
    Encoder,
    Shuffled,
    Transformer,
    Unfolding,
    Windows,
    first_token,
    fused,
    mean_of,
    spelled_out,
)


def survey(network: nn.Module, height: int = 12, width: int = 18) -> LayerTable:
    noise = torch.randn((1, 3, height, width), generator=torch.Generator().manual_seed(0))
    return survey_layers(frozen(network), noise)


def tokens(skipped: int, height: int = 4, width: int = 6) -> Layout:
    return Layout("tokens", skipped, height, width)


# --- tokens ---


@pytest.mark.parametrize("attend", [fused, spelled_out])
@pytest.mark.parametrize("skipped", [1, 2, 5])
def test_where_a_class_token_is_read_it_is_what_the_last_attention_reads(
    attend: Attend, skipped: int
) -> None:
    table = survey(Transformer(skipped, first_token, attend))

    assert table.choose(None) == Layer("blocks.1.norm1", 8, 4, 6, tokens(skipped), bypassed=True)
    assert table.candidates == ("embed", "blocks.0")


@pytest.mark.parametrize("name", ["blocks", "blocks.1", "norm", "blocks.1.attn", "blocks.1.mlp"])
def test_a_layer_whose_cells_nobody_reads_is_refused_with_the_nearest(name: str) -> None:
    table = survey(Transformer())

    with pytest.raises(UnusableLayer, match=r"exactly zero.*layer is blocks\.1\.norm1$"):
        table.choose(name)


def test_such_a_layers_gradient_is_indeed_zero_at_every_cell() -> None:
    network = frozen(Transformer())
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        kept.append(output)

    network.get_submodule("blocks").register_forward_hook(keep)
    logits = network(torch.randn(1, 3, 12, 18, requires_grad=True))
    (gradient,) = torch.autograd.grad(logits.square().sum(), kept[0])

    assert gradient[0, 0].any()
    assert not gradient[0, 1:].any()


@pytest.mark.parametrize("skipped", [0, 1, 4])
def test_where_the_cells_are_averaged_it_is_the_last_tokens(skipped: int) -> None:
    table = survey(Transformer(skipped, mean_of(skipped)))

    assert table.choose(None) == Layer("norm", 8, 4, 6, tokens(skipped), linear_head=True)
    assert table.candidates == ("embed", "blocks.0", "blocks", "norm")


def test_an_average_that_takes_the_class_token_in_is_no_average_over_the_cells() -> None:
    found = survey(Transformer(1, mean_of(0))).choose(None)

    assert found == Layer("norm", 8, 4, 6, tokens(1), linear_head=False)


def test_with_a_head_of_zeros_a_class_token_is_taken_to_be_read() -> None:
    network = frozen(Transformer())
    with torch.no_grad():
        network.get_parameter("fc.weight").zero_()

    assert survey_layers(network, torch.randn(1, 3, 12, 18)).default == "blocks.1.norm1"


def test_queries_keys_and_values_are_no_maps() -> None:
    for attend in (fused, spelled_out):
        # 24 cells and a token, and heads of 24 channels: by its shape this could be a map
        table = survey(Transformer(1, first_token, attend, width=48))
        for part in ("qkv", "q_norm", "k_norm"):
            assert "queries, keys, values" in str(table.modules[f"blocks.0.attn.{part}"])
        assert isinstance(table.modules["blocks.0.attn.proj"], Layer)


def test_queries_and_keys_are_no_maps_where_no_graph_from_the_logits_tells_so() -> None:
    class Detached(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Transformer(1, width=50)

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.inner(x).detach()
            return logits

    table = survey(Detached())

    assert "no two axes" in str(table.modules["inner.blocks.0.attn.q_norm"])
    assert table.choose("inner.blocks.0").layout == tokens(1)


def test_tokens_that_stand_behind_the_cells_are_not_taken_for_class_tokens() -> None:
    table = survey(Transformer(0, mean_of(0), trailing=1))

    assert table.default is None
    assert "tokens whose grid is not known" in table.why_no_default
    assert "not tokens of a grid" in str(table.modules["blocks.0"])


def test_tokens_in_another_order_are_not_taken_for_a_map() -> None:
    table = survey(Shuffled())

    assert table.choose("early") == Layer("early", 8, 4, 6, tokens(0))
    assert "not tokens of a grid" in str(table.modules["late"])
    assert table.default is None
    assert "grid is not known (late)" in table.why_no_default


def test_pytorchs_own_encoder_whose_first_tensor_is_past_an_attention() -> None:
    first = survey(Encoder(norm_first=True))
    last = survey(Encoder(norm_first=False))

    name = "encoder.layers.1.norm1"
    assert first.choose(None) == Layer(name, 8, 4, 6, tokens(1), bypassed=True)
    # normalised after each addition, what the attention reads is all that goes on
    assert last.choose(None) == Layer("encoder.layers.0", 8, 4, 6, tokens(1))


def test_tokens_whose_first_axis_is_not_the_batch_leave_no_default() -> None:
    table = survey(Encoder(norm_first=True, batch_first=False))

    assert table.default is None
    assert "tokens whose grid is not known" in table.why_no_default
    assert "first axis does not count the pictures" in str(table.modules["encoder.layers.0.norm1"])


def test_patches_that_no_convolution_cuts() -> None:
    found = survey(Unfolding(3)).choose(None)

    assert found == Layer("norm", 8, 4, 6, tokens(0), linear_head=True)


def test_the_engine_makes_a_map_of_the_cells() -> None:
    network = frozen(Transformer())
    batch = torch.randn(2, 3, 12, 18, generator=torch.Generator().manual_seed(1))

    outcomes = Explainer(network, (12, 18)).run(batch, [Ask((0,)), Ask((3,))])

    for outcome in outcomes:
        assert isinstance(outcome, Outcome)
        assert outcome.maps[0].values.shape == (4, 6)
        assert outcome.maps[0].values.any()


def test_without_numbers_the_shapes_and_the_graph_must_do() -> None:
    with torch.device("meta"):
        table = survey_layers(Transformer(2).eval(), torch.empty(1, 3, 12, 18))

    assert table.choose(None) == Layer("blocks.1.norm1", 8, 4, 6, tokens(2), bypassed=True)


# --- maps whose channels are last, and windows ---


@pytest.mark.parametrize("size", [(12, 12), (9, 16)])
@pytest.mark.parametrize("channels", [3, 9, 11, 12, 16])
def test_the_channels_are_told_from_the_map(size: tuple[int, int], channels: int) -> None:
    """Also where there are as many of them as rows or columns."""
    table = survey(ChannelsLast(channels), *size)

    assert table.choose("conv") == Layer("conv", channels, *size, CHANNELS_FIRST)
    assert table.choose(None) == Layer("norm", channels, *size, CHANNELS_LAST, linear_head=True)


@pytest.mark.parametrize("folded", [True, False])
def test_windows_are_no_maps(*, folded: bool) -> None:
    table = survey(Windows(folded=folded), 9, 12)

    says = "first axis does not count" if folded else "no two axes"
    assert says in str(table.modules["mix"])
    assert table.choose(None) == Layer("last", 6, 9, 12, linear_head=True)


# --- what a layer is good for ---


def test_a_layer_that_does_not_depend_on_the_picture_is_refused() -> None:
    class Biased(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bias = nn.Conv2d(3, 6, 1), nn.Conv2d(3, 6, 1)

        def forward(self, x: Tensor) -> Tensor:
            biased: Tensor = self.conv(x) + self.bias(torch.ones_like(x))
            return biased

    table = survey(Classifier(Biased()))

    assert table.modules["body.bias"] == "does not depend on the picture"
    assert table.default == "body"


class Head(nn.Module):
    """Two stages, then ``head`` of their means."""

    def __init__(self, head: nn.Module, *, detach: bool = False, no_grad: bool = False) -> None:
        super().__init__()
        self.body, self.head = two_stages(), head
        self._detach, self._no_grad = detach, no_grad

    def forward(self, x: Tensor) -> Tensor:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self._no_grad):
            x = self.body(x)
        means = x.mean(dim=(2, 3))
        logits: Tensor = self.head(means.detach() if self._detach else means)
        return logits


@pytest.mark.parametrize(
    ("head", "is_linear"),
    [
        (nn.Linear(6, 5), True),
        (nn.Sequential(nn.Dropout(), nn.Linear(6, 5)), True),
        (nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 5)), False),
        (nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 5)), False),
        (nn.Sequential(nn.Linear(6, 5), nn.Sigmoid()), False),
    ],
)
def test_whether_one_linear_map_is_all_that_follows(head: nn.Module, *, is_linear: bool) -> None:
    table = survey(Head(head))

    assert table.choose(None).name == "body"
    assert table.choose(None).linear_head is is_linear
    assert table.choose("body.2").linear_head is False


def test_a_linear_map_of_all_cells_is_no_average_over_them() -> None:
    network = nn.Sequential(two_stages(), nn.Flatten(), nn.Linear(6 * 5 * 8, 5))
    pooled = nn.Sequential(two_stages(), nn.AvgPool2d(5), nn.Flatten(), nn.Linear(6, 5))

    assert survey(network).choose("0").linear_head is False
    # the last three columns are in no window
    assert survey(pooled).choose("0").linear_head is False
    assert survey(pooled, 12, 12).choose("0").linear_head is True


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*quantize:UserWarning")
def test_where_the_logits_have_no_gradient_the_layers_remain_for_eigencam() -> None:
    quantise: Any = torch.ao.quantization.quantize_dynamic
    quantised = quantise(Head(nn.Linear(6, 5)).eval(), {nn.Linear})

    for network in (quantised, Head(nn.Linear(6, 5), detach=True)):
        table = survey(network)

        assert table.default is None
        assert "no gradient" in table.why_no_default
        assert "ask for method eigencam and a layer such as body" in table.why_no_default
        assert table.choose("body") == Layer("body", 6, 5, 8, differentiable=False)


def test_a_backbone_under_its_own_no_grad_is_explained_at_its_end() -> None:
    table = survey(Head(nn.Linear(6, 5), no_grad=True))

    assert table.choose(None) == Layer("body", 6, 5, 8, linear_head=True)
    assert "no influence" in str(table.modules["body.0"])


def test_a_vision_transformer_of_torchvision() -> None:
    network = torchvision.models.VisionTransformer(
        image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32
    )
    table = survey(network, 32, 32)

    name = "encoder.layers.encoder_layer_1.ln_1"
    assert table.choose(None) == Layer(name, 16, 4, 4, tokens(1, 4, 4), bypassed=True)
    assert table.choose("conv_proj") == Layer("conv_proj", 16, 4, 4)
