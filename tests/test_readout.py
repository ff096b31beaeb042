"""Logits out of tensors, tuples, mappings and dataclasses, and one logit as two classes."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from gradcam.errors import EngineFault
from gradcam.survey.readout import Readout

LOGITS = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
FEATURES = torch.zeros(2, 8, 4, 4)


@dataclass
class Output:
    hidden: Tensor
    scores: Tensor


class Pair(NamedTuple):
    features: Tensor
    scores: Tensor


@pytest.mark.parametrize(
    "output",
    [
        LOGITS,
        (LOGITS,),
        [FEATURES, LOGITS],
        (LOGITS, LOGITS * 0),
        {"hidden": LOGITS * 0, "logits": LOGITS},
        OrderedDict(hidden=FEATURES, scores=LOGITS),
        Output(FEATURES, LOGITS),
        Pair(FEATURES, LOGITS),
    ],
)
def test_logits_are_found(output: object) -> None:
    assert Readout()(output) is LOGITS


@pytest.mark.parametrize(
    ("name", "output"),
    [
        (1, (LOGITS * 0, LOGITS)),
        ("scores", {"logits": LOGITS * 0, "scores": LOGITS}),
        ("scores", Output(LOGITS * 0, LOGITS)),
        ("scores", Pair(LOGITS * 0, LOGITS)),
        (1, Pair(LOGITS * 0, LOGITS)),
    ],
)
def test_logits_are_taken_by_name_or_position(name: str | int, output: object) -> None:
    assert Readout(name)(output) is LOGITS


@pytest.mark.parametrize(
    ("readout", "output", "says"),
    [
        (Readout(), FEATURES, r"gave \[2, 8, 4, 4\], not logits of shape \[N, C\]$"),
        (Readout(), LOGITS.long(), r"gave \[2, 3\], not logits"),
        (Readout(), "text", "gave str, not logits"),
        (Readout(), {"a": FEATURES}, "gave dict, not logits.*output names them, one of a$"),
        (Readout(), (), "gave tuple, not logits.*nothing, for it is a tuple"),
        (Readout("b"), {"a": LOGITS}, "has no 'b'; it has a$"),
        (Readout(3), (LOGITS,), "has no 3; it has 0$"),
        (Readout("a"), {"a": FEATURES}, r"gave \[2, 8, 4, 4\]"),
    ],
)
def test_what_holds_no_logits_is_refused(readout: Readout, output: object, says: str) -> None:
    with pytest.raises(EngineFault, match=says):
        readout(output)


@pytest.mark.parametrize("around", [lambda t: t, lambda t: {"logits": t}])
def test_one_logit_is_two_classes(around: Callable[[Tensor], object]) -> None:
    one = torch.tensor([[0.5], [-2.0]])

    both = Readout()(around(one))

    assert both.tolist() == [[-0.5, 0.5], [2.0, -2.0]]
    # the sigmoid of each side is its probability, and the two are one together
    torch.testing.assert_close(both.sigmoid().sum(1), torch.ones(2))
