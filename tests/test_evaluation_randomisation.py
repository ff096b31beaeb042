"""Forgetting networks, held against their own parameters; correlations against definitions."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from evaluation.randomisation import cascade, rank_correlation, stages, structural_similarity
from gradcam.networks import freeze
from gradcam.networks.demo_network import DemoNet

EXAMPLE = torch.zeros((1, 3, 32, 32))


def demo() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return freeze(DemoNet().eval())


def changed(one: nn.Module, other: nn.Module) -> set[str]:
    """The parameters that differ."""
    others = dict(other.named_parameters())
    return {name for name, value in one.named_parameters() if not torch.equal(value, others[name])}


def test_stages_run_from_the_logits_down_and_hold_every_parameter_once() -> None:
    network = demo()
    found = stages(network, EXAMPLE)
    assert [name for name, _ in found] == ["fc", "layer3", "layer2", "layer1", "stem"]
    members = [member for _, names in found for member in names]
    parameters = {name.rpartition(".")[0] for name, _ in network.named_parameters()}
    assert sorted(members) == sorted(parameters)


def test_a_child_that_holds_nearly_everything_is_taken_apart() -> None:
    with torch.device("meta"):
        vgg = models.vgg11(num_classes=4).eval()
    names = [name for name, _ in stages(vgg, torch.zeros((1, 3, 64, 64), device="meta"))]
    convolutions = [f"features.{number}" for number in (18, 16, 13, 11, 8, 6, 3, 0)]
    assert names == ["classifier", *convolutions]


class Backwards(nn.Module):
    """Calls its modules in another order than it names them; one is never called itself."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 2)
        self.own = nn.Parameter(torch.arange(4.0))
        self.unused = nn.Linear(3, 3)
        self.first = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.first(x).mean(dim=(2, 3)) + self.own)
        return logits


def test_stages_follow_the_calls_not_the_names() -> None:
    names = [name for name, _ in stages(Backwards().eval(), EXAMPLE)]
    assert names.index("head") < names.index("first") < names.index("unused")


def test_the_cascade_forgets_ever_more_and_leaves_the_network_alone() -> None:
    network = demo()
    before = copy.deepcopy(network)
    forgotten: set[str] = set()
    for name, forgetful in cascade(network, EXAMPLE, seed=0):
        now = changed(network, forgetful)
        added = now - forgotten
        assert added
        assert all(one.startswith(f"{name}.") for one in added)
        assert forgotten <= now
        forgotten = now
        assert bool(torch.isfinite(forgetful(EXAMPLE + 1)).all())
        assert not any(module.training for module in forgetful.modules())
    # a batch norm's scale and shift are drawn as they begin: 1 and 0, as in an untrained network
    left = {name for name, _ in network.named_parameters()} - forgotten
    assert all(".norm" in one or one.split(".")[-2].isdecimal() for one in left)
    assert not changed(network, before)


def test_the_seed_decides_what_is_drawn() -> None:
    drawn = []
    for seed in (0, 0, 1):
        *_, (_, network) = cascade(demo(), EXAMPLE, seed)
        drawn.append(next(network.parameters()).clone())
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_parameters_without_a_reset_keep_their_mean_and_deviation() -> None:
    network = Backwards().eval()
    network.own = nn.Parameter(torch.randn(4000) * 3 + 5)
    network.forward = lambda x: network.head(network.first(x).mean(dim=(2, 3)))  # type: ignore[method-assign]
    *_, (_, forgetful) = cascade(network, EXAMPLE, seed=0)
    drawn = forgetful.get_parameter("own").detach()
    assert not torch.equal(drawn, network.own)
    assert float(drawn.mean()) == pytest.approx(float(network.own.detach().mean()), abs=0.2)
    assert float(drawn.std()) == pytest.approx(float(network.own.detach().std()), abs=0.2)


def test_rank_correlation_by_its_formula() -> None:
    """1 − 6 Σ d² / (n (n² − 1)), for ranks without ties."""
    generator = np.random.default_rng(0)
    one, other = generator.normal(size=(2, 5, 7))
    ranks = [values.ravel().argsort().argsort() for values in (one, other)]
    distance = float(((ranks[0] - ranks[1]) ** 2).sum())
    assert rank_correlation(one, other) == pytest.approx(1 - 6 * distance / (35 * (35**2 - 1)))
    assert rank_correlation(one, np.exp(one)) == pytest.approx(1)
    assert rank_correlation(one, -one) == pytest.approx(-1)


def test_a_constant_map_correlates_with_nothing() -> None:
    assert rank_correlation(np.ones((4, 4)), np.arange(16.0).reshape(4, 4)) == 0.0


def test_similarity_by_its_formula() -> None:
    """One window: (2 m₁ m₂ + c₁)(2 s₁₂ + c₂) / ((m₁² + m₂² + c₁)(s₁² + s₂² + c₂))."""
    generator = np.random.default_rng(1)
    one, other = generator.uniform(size=(2, 7, 7))
    c1, c2 = 0.01**2, 0.03**2
    m1, m2 = one.mean(), other.mean()
    s1, s2 = one.var(ddof=1), other.var(ddof=1)
    s12 = ((one - m1) * (other - m2)).sum() / 48
    expected = (2 * m1 * m2 + c1) * (2 * s12 + c2)
    expected /= (m1**2 + m2**2 + c1) * (s1 + s2 + c2)
    assert structural_similarity(one, other) == pytest.approx(expected)
    assert structural_similarity(one, one) == pytest.approx(1)


def test_small_maps_have_small_windows() -> None:
    one = np.linspace(0, 1, 16).reshape(4, 4)
    assert structural_similarity(one, one) == pytest.approx(1)
    assert structural_similarity(one, one.T) < 1
