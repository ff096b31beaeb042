"""Score-CAM and Ablation-CAM of real networks, against a loop over channels in float64."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - everybody calls it that

from gradcam.engine.perturbation import passes, run_ablationcam, run_scorecam
from gradcam.methods import METHODS
from hand_networks import Classifier, frozen, pictures, two_stages

CLASSES = (3, 0)


class Counted:
    """A callable that notes how many rows each of its calls had."""

    def __init__(self, call: Callable[[Tensor], Tensor]) -> None:
        self.call, self.rows = call, list[int]()

    def __call__(self, rows: Tensor) -> Tensor:
        self.rows.append(len(rows))
        return self.call(rows)


@pytest.fixture
def network() -> nn.Module:
    return frozen(Classifier(two_stages())).double()


@pytest.fixture
def picture() -> Tensor:
    return pictures(1, 14)[0].double()


@pytest.fixture
def activations(network: nn.Module, picture: Tensor) -> Tensor:
    """``[6, 6, 6]`` after a ReLU; one channel is silenced."""
    kept: Tensor = network.get_submodule("body")(picture[None])[0].clone()
    kept[4] = 0
    return kept


def head(network: nn.Module) -> Callable[[Tensor], Tensor]:
    def logits(maps: Tensor) -> Tensor:
        result: Tensor = network.get_submodule("fc")(maps.clamp_(max=3).flatten(2).mean(dim=2))
        return result

    return logits


def one_hot(*classes: int) -> Tensor:
    return torch.eye(5)[list(classes)]


def scorecam_of(network: nn.Module, picture: Tensor, kept: Tensor, index: int) -> Tensor:
    """Algorithm 1, a picture at a time."""
    scores = []
    for channel in kept:
        mask = F.interpolate(channel[None, None], picture.shape[1:], mode="bilinear")[0, 0]
        mask = mask - mask.min()
        mask = mask / mask.max() if mask.max() > 0 else mask
        scores.append(network((mask * picture)[None])[0, index])
    increase = torch.stack(scores) - network(0 * picture[None])[0, index]
    weights = increase.exp() / increase.exp().sum()
    return torch.einsum("k,kij->ij", weights, kept)


def ablationcam_of(behind: Callable[[Tensor], Tensor], kept: Tensor, index: int) -> Tensor:
    whole = behind(kept[None].clone())[0, index]
    result = torch.zeros_like(kept[0])
    for k in range(len(kept)):
        less = kept[None].clone()
        less[0, k] = 0
        result += (whole - behind(less)[0, index]) / abs(whole) * kept[k]
    return result


@pytest.mark.parametrize("rows", [1, 4, 100])
def test_scorecam_is_algorithm_1(
    network: nn.Module, picture: Tensor, activations: Tensor, rows: int
) -> None:
    found = run_scorecam(picture, activations, network, one_hot(*CLASSES), rows)

    for values, index in zip(found, CLASSES, strict=True):
        torch.testing.assert_close(values, scorecam_of(network, picture, activations, index))


@pytest.mark.parametrize("rows", [1, 4, 100])
def test_ablationcam_is_the_papers(network: nn.Module, activations: Tensor, rows: int) -> None:
    """The head writes into its input, as many do."""
    before = activations.clone()

    found = run_ablationcam(activations, head(network), one_hot(*CLASSES), rows)

    assert activations.equal(before)
    for values, index in zip(found, CLASSES, strict=True):
        torch.testing.assert_close(values, ablationcam_of(head(network), activations, index))


def test_a_difference_of_two_classes_is_a_target(
    network: nn.Module, picture: Tensor, activations: Tensor
) -> None:
    versus = one_hot(3) - one_hot(0)

    class Difference(nn.Module):
        def forward(self, rows: Tensor) -> Tensor:
            logits: Tensor = network(rows)
            return logits[:, 3:4] - logits[:, 0:1]

    def behind(maps: Tensor) -> Tensor:
        logits = head(network)(maps)
        return logits[:, 3:4] - logits[:, 0:1]

    torch.testing.assert_close(
        run_scorecam(picture, activations, network, versus, 8)[0],
        scorecam_of(Difference(), picture, activations, 0),
    )
    torch.testing.assert_close(
        run_ablationcam(activations, head(network), versus, 8)[0],
        ablationcam_of(behind, activations, 0),
    )


def test_targets_share_the_passes_and_flat_channels_take_none(
    network: nn.Module, picture: Tensor, activations: Tensor
) -> None:
    """Six channels, one of them silent: five and the baseline, at most four at a time."""
    seen, behind = Counted(network), Counted(head(network))

    run_scorecam(picture, activations, seen, torch.eye(5), 4)
    run_ablationcam(activations, behind, torch.eye(5), 4)

    assert seen.rows == [1, 4, 1]
    assert behind.rows == [1, 4, 1]
    assert passes("scorecam", 6) == passes("ablationcam", 6) == 7


def test_no_other_method_takes_further_passes() -> None:
    others = METHODS.keys() - {"scorecam", "ablationcam"}

    assert {name: passes(name, 2048) for name in others} == dict.fromkeys(others, 0)


@pytest.mark.parametrize("run", ["scorecam", "ablationcam"])
def test_a_layer_that_is_silent_altogether(network: nn.Module, picture: Tensor, run: str) -> None:
    silent = torch.zeros(6, 6, 6, dtype=torch.float64)
    if run == "scorecam":
        found = run_scorecam(picture, silent, network, one_hot(1), 4)
    else:
        found = run_ablationcam(silent, head(network), one_hot(1), 4)

    assert found.equal(torch.zeros(1, 6, 6, dtype=torch.float64))


def test_the_network_is_called_in_its_own_precision(picture: Tensor) -> None:
    network = frozen(Classifier(two_stages())).bfloat16()
    kept: Tensor = network.get_submodule("body")(picture[None].bfloat16())[0]
    exact = frozen(Classifier(two_stages())).double()

    scored = run_scorecam(picture.bfloat16(), kept, network, one_hot(3), 4)
    lacking = run_ablationcam(kept, head(network), one_hot(3), 4)

    assert scored.dtype == lacking.dtype == torch.float32
    for found, expected in (
        (scored[0], scorecam_of(exact, picture, kept.double(), 3)),
        (lacking[0], ablationcam_of(head(exact), kept.double(), 3)),
    ):
        # bfloat16 has 8 bits; a drop is the difference of two logits of it
        assert (found - expected).abs().max() < 0.1 * expected.abs().max()


def test_what_the_network_raises_goes_through(picture: Tensor, activations: Tensor) -> None:
    def late(_rows: Tensor) -> Tensor:
        raise TimeoutError("time is up")

    with pytest.raises(TimeoutError, match="time is up"):
        run_scorecam(picture, activations, late, one_hot(0), 4)
    with pytest.raises(TimeoutError, match="time is up"):
        run_ablationcam(activations, late, one_hot(0), 4)
