"""Networks as they are really used: checkpointed, compiled, in half precision, quantised."""

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from engine_asking import BATCH, EXPLAINER, NETWORK, close, maps_of
from gradcam import Ask, Explainer, Outcome, UnusableLayer
from hand_networks import (
    Classifier,
    frozen,
    small_network,
    two_stages,
)
from oracles import full_autograd_map, relative_error


class Checkpointed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stages = two_stages(inplace=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = checkpoint(self.stages, x, use_reentrant=False)
        return out


@pytest.mark.parametrize("layer", ["body.stages", "body.stages.2"])
def test_a_checkpointed_network_is_exact(layer: str) -> None:
    network = frozen(Classifier(Checkpointed()))

    maps = maps_of(Explainer(network, (12, 12)), BATCH[0], Ask((1, 3), layers=(layer,)))

    plain = frozen(Classifier(two_stages(inplace=False)))
    for raw in maps:
        name = layer.replace("body.stages", "body")
        assert (
            relative_error(raw.values, full_autograd_map(plain, name, BATCH[0], raw.index)) < 1e-5
        )


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_a_compiled_network_is_explained_as_the_one_that_it_was_made_of(backend: str) -> None:
    compiled = torch.compile(NETWORK, backend=backend)
    assert isinstance(compiled, nn.Module)
    explainer = Explainer(compiled, (12, 12))

    (plain,) = explainer.run(BATCH[:1], [None])
    (raw,) = maps_of(explainer, BATCH[0], Ask((1,)))

    assert isinstance(plain, Outcome)
    close(plain.logits, NETWORK(BATCH[:1])[0])
    assert raw.layers == ("body",)
    assert relative_error(raw.values, full_autograd_map(NETWORK, "body", BATCH[0], 1)) < 1e-5


def test_channels_last_changes_nothing() -> None:
    network = small_network().to(memory_format=torch.channels_last)
    batch = BATCH.to(memory_format=torch.channels_last)

    (outcome, *_) = Explainer(network, (12, 12)).run(batch, [Ask((1,))] * 3)

    assert isinstance(outcome, Outcome)
    expected = full_autograd_map(NETWORK, "body", BATCH[0], 1)
    assert relative_error(outcome.maps[0].values, expected) < 1e-5


def test_under_autocast_maps_are_float32_sums() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        (raw,) = maps_of(EXPLAINER, BATCH[0], Ask((1,)))

    assert raw.values.dtype == torch.float32
    # bfloat16 has 8 significant bits, and every layer rounds
    assert relative_error(raw.values, full_autograd_map(NETWORK, "body", BATCH[0], 1)) < 0.05


@pytest.mark.filterwarnings("ignore")  # torch moves quantisation to a package of its own
def test_a_quantised_head_has_no_gradient_and_eigencam_is_offered() -> None:
    quantised = torch.ao.quantization.quantize_dynamic(  # type: ignore[no-untyped-call]
        small_network(), {nn.Linear}, torch.qint8
    )
    explainer = Explainer(quantised.eval(), (12, 12))

    with pytest.raises(UnusableLayer, match=r"gradient.*method eigencam"):
        explainer.run(BATCH[:1], [Ask((1,), layers=("body",))])
    (eigen,) = maps_of(explainer, BATCH[0], Ask((1,), layers=("body",), method="eigencam"))

    (exact,) = maps_of(EXPLAINER, BATCH[0], Ask((1,), layers=("body",), method="eigencam"))
    close(eigen.values, exact.values)  # the body is not quantised, and no more than it is looked at
