import pytest
import torch

from gradcam import Ask, RawMap, Top

VALUES = torch.tensor([[1.0, -2.0], [4.0, 0.0]])


def test_an_ask_is_for_the_best_class_unless_said_otherwise() -> None:
    ask = Ask()
    assert (ask.targets, ask.method, ask.layers) == ((Top(1),), "gradcam", ())
    assert (ask.smooth, ask.flip, ask.score, ask.call) == (0, False, False, -1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"fuse": "min"},
        {"smooth": -1},
        {"seed": -1},
        {"noise": -0.1},
        {"noise": 1.1},
        {"noise": float("nan")},
        {"layers": "layer4"},
    ],
)
def test_an_ask_is_checked_where_it_is_made(wrong: dict[str, object]) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=name):
        Ask(**wrong)  # type: ignore[arg-type]


def test_a_map_is_divided_by_its_maximum_or_by_a_greater_one() -> None:
    raw = RawMap(0, ("layer4",), "gradcam", VALUES)
    assert raw.maximum == 4
    assert raw.heatmap().tolist() == [[0.25, 0], [1, 0]]
    assert raw.heatmap(8).tolist() == [[0.125, 0], [0.5, 0]]


def test_a_map_of_nothing_is_zero_on_every_scale() -> None:
    raw = RawMap(0, ("layer4",), "gradcam", -VALUES.abs())
    assert raw.maximum == 0
    for maximum in (None, 0.0, 5.0):
        assert raw.heatmap(maximum).tolist() == [[0, 0], [0, 0]]
