"""What benchmarks/choices.py makes of its turns and answers: order, ratios, effects, the table."""

import importlib
import re
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from gradcam import Explainer, Outcome, freeze
from pictures import cat, encode

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))

choices, choices_networks, effects, interleaved, lone_forward, studied = (
    importlib.import_module(name)
    for name in (
        *("choices", "choices_networks", "effects"),
        *("interleaved", "lone_forward", "studied"),
    )
)


class Two(nn.Module):
    """Two channels that keep red and green; class 0 wants red by so much, class 1 green."""

    def __init__(self, red: float = 1.0) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 2, 1, bias=False)
        self.head = nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            self.features.weight.copy_(torch.eye(3)[:2, :, None, None])
            self.head.weight.copy_(torch.tensor([[red, 0.1], [0.0, 1.0]]))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.features(pictures).mean(dim=(2, 3)))
        return logits


def explainer(red: float = 1.0) -> Explainer:
    return Explainer(freeze(Two(red).eval()), (4, 4))


@pytest.fixture
def pictures() -> torch.Tensor:
    """Eleven; the first is red and the others green, each somewhere else."""
    found = torch.zeros(11, 3, 4, 4)
    found[0, 0, 0, 0] = found[0, 1, 3, 3] = 2.0
    for number in range(1, 11):
        found[number, 1, number // 4, number % 4] = 3.0
    return found


def test_of_two_that_take_turns_neither_is_always_first() -> None:
    order: list[str] = []

    def take(name: str) -> float:
        order.append(name)
        return float(len(order))

    found = interleaved.in_turns({"a": lambda: take("a"), "b": lambda: take("b")}, 4)

    assert "".join(order) == "ab" + "ba" + "ba" + "ab"
    assert found == {"a": [1, 4, 6, 7], "b": [2, 3, 5, 8]}


def test_ratios_are_of_one_round_and_alternate() -> None:
    order: list[str] = []
    found, unit = interleaved.ratios(lambda: order.append("w"), lambda: order.append("u"), 4)
    assert "".join(order) == "uw" + "uw" + "wu" + "wu" + "uw"
    assert len(found) == 4
    assert unit > 0
    assert interleaved.quotients([3.0, 8.0], [2.0, 4.0]) == [1.5, 2.0]


def test_without_a_difference_there_is_no_effect(pictures: torch.Tensor) -> None:
    found = effects.effect(explainer(), explainer(), pictures, pictures)

    assert found.cosines == pytest.approx([1.0] * 11)
    assert found.same == (True,) * 11


def test_maps_of_one_class_are_compared_where_the_best_class_differs(
    pictures: torch.Tensor,
) -> None:
    plain, other = explainer(), explainer(red=0.5)

    found = effects.effect(other, plain, pictures, pictures)

    assert found.same == (False, *[True] * 10)
    # of class 0: red by 1 and green by 0.1, against red by 0.5 and green by 0.1
    mine, theirs = torch.tensor([0.5, 0.1]), torch.tensor([1.0, 0.1])
    assert found.cosines[0] == pytest.approx(effects.cosine(mine[None], theirs[None]))
    assert found.cosines[0] < 0.999


def test_pictures_may_differ_rather_than_the_network(pictures: torch.Tensor) -> None:
    moved = pictures.roll(1, dims=3)
    found = effects.effect(explainer(), explainer(), moved, pictures)
    assert all(found.same)
    assert max(found.cosines[1:]) == pytest.approx(0)


def test_batches_are_whole_and_answers_in_order(pictures: torch.Tensor) -> None:
    sizes: list[int] = []
    one = explainer()
    one.network.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))

    outcomes = effects.explain(one, pictures)

    assert set(sizes) == {8}
    assert [outcome.maps[0].index for outcome in outcomes] == [0] + [1] * 10
    assert all(isinstance(outcome, Outcome) for outcome in outcomes)
    peaks = [int(outcome.maps[0].values.argmax()) for outcome in outcomes[1:]]
    assert peaks == list(range(1, 11))


def test_a_picture_without_finite_numbers_is_no_effect(pictures: torch.Tensor) -> None:
    pictures[3] = float("nan")
    with pytest.raises(Exception, match="finite"):
        effects.explain(explainer(), pictures)


def test_an_effect_in_words() -> None:
    found = effects.Effect((0.5, 1.0, 0.9), (True, False, True))
    assert str(found) == (
        "cosine of the map at least 0.5000 (median 0.9000), best class the same for 2 of 3"
    )


def test_a_map_of_nothing_is_like_no_other() -> None:
    assert effects.cosine(torch.zeros(2, 2), torch.ones(2, 2)) == 0
    assert effects.cosine(-torch.ones(2, 2), torch.ones(2, 2)) == pytest.approx(-1)


def test_a_line_of_the_table() -> None:
    line = choices_networks.Line("a over b", "demo", [0.5, 0.7], "and more")
    assert choices.row(line) == "| a over b | demo | 0.60 [0.50–0.70] | and more |"


def test_freed_memory_alternates(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def run(_name: str, how: str) -> float:
        order.append(how)
        return {"kept": 1.0, "given back": 2.0}[how]

    monkeypatch.setattr(choices_networks, "_lone_forward", run)
    (line,) = choices_networks.of_network(
        studied.Studied("demo"), [encode(cat(), "JPEG")], ["heap"], 4
    )

    kept, given = lone_forward.HOW
    assert order == [kept, given, given, kept, given, kept, kept, given]
    assert line.over == [0.5] * 4
    assert line.choice == "freed memory kept over given back"


def test_the_demo_model_s_choices_are_measured_for_real() -> None:
    files = [encode(cat(), "JPEG")] * 2

    lines = {
        line.choice: line
        for line in choices_networks.of_network(
            studied.Studied("demo"), files, ["layout", "bf16", "heap", "reduced"], 2
        )
    }

    assert [len(line.over) for line in lines.values()] == [2] * 4
    assert all(ratio > 0 for line in lines.values() for ratio in line.over)
    for choice in (
        "channels last over contiguous",
        "bf16 over fp32",
        "reduced decoding over whole",
    ):
        assert "best class the same for 2 of 2" in lines[choice].more
        assert re.match(r"cosine of the map at least (0\.99|1\.00)", lines[choice].more)
    assert lines["freed memory kept over given back"].more == ""
