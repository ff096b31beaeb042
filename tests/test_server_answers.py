"""Whether contenders of the server benchmark say the same: what they answer, by hand."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))

answers, archives, contenders = (
    importlib.import_module(name)
    for name in ("server_answers", "server_archives", "server_contenders")
)
PREDICTIONS, GRID, OVERLAY = contenders.ours()
STOCK, JACOBGIL, _, FRGFM, _ = contenders.PEER_EXPLANATIONS
LOW = contenders.ours("bf16")[1]


def said(best: str = "cat", shape: tuple[int, ...] = (7, 7), second: float = 0.2) -> Any:
    other = "dog" if best == "cat" else "cat"
    return answers.Said({other: second, best: 0.5}, shape)


def test_answers_of_all_kinds_are_read() -> None:
    ours = {
        "predictions": [{"label": "cat", "probability": 0.9}, {"label": "dog", "probability": 0.1}],
        "explanations": [{"heatmap": {"values": [[0, 1, 2], [3, 4, 5]]}}],
    }
    for document, best, shape in (
        ({"dog": 0.2, "cat": 0.8}, "cat", ()),
        (ours, "cat", (2, 3)),
        ({"predictions": {"dog": 0.6, "cat": 0.4}, "heatmap": [[0, 1]] * 4}, "dog", (4, 2)),
        ({"predictions": {"dog": 0.6}, "overlay": "…"}, "dog", ()),
        ([[[0.5, 0.5]] * 4] * 3, None, (3, 4, 2)),
    ):
        found = answers.read(json.dumps(document).encode())
        assert (found.best, found.shape) == (best, shape)


@pytest.mark.parametrize("body", [b"{}", b"3", b"not JSON"])
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"is not an answer|Expecting value"):
        answers.read(body)


def test_contenders_that_agree_are_counted() -> None:
    told = [
        (PREDICTIONS, [said(shape=())] * 2),
        (GRID, [said()] * 2),
        (FRGFM, [said()] * 2),
        (JACOBGIL, [said(shape=(224, 224))] * 2),
        (STOCK, [answers.Said({}, (3, 224, 224))] * 2),
    ]
    (sentence,) = answers.compare("resnet18", told, [])
    assert sentence == "resnet18: 4 contenders in float32 name the same best classes"


def test_another_class_is_an_error_with_a_sentence() -> None:
    told = [(PREDICTIONS, [said(), said("dog")]), (GRID, [said(), said("cat")])]
    with pytest.raises(answers.DisagreementError) as caught:
        list(answers.compare("resnet18", told, []))
    assert str(caught.value) == (
        "resnet18: of 2 photographs ours grid names another class than ours predictions for 1, "
        "such as cat instead of dog for number 2"
    )


def test_a_class_that_is_as_good_will_do() -> None:
    tied = [(PREDICTIONS, [said(second=0.495)]), (GRID, [said("dog")])]
    assert list(answers.compare("resnet18", tied, []))
    apart = [(PREDICTIONS, [said(second=0.485)]), (GRID, [said("dog")])]
    with pytest.raises(answers.DisagreementError):
        list(answers.compare("resnet18", apart, []))


def test_a_lower_precision_may_differ_and_is_told() -> None:
    told = [(PREDICTIONS, [said()] * 3), (LOW, [said(), said("dog"), said("dog")])]
    first, second = answers.compare("resnet18", told, ["bf16"])
    assert first == (
        "resnet18: of 3 photographs bf16 grid names another class than ours predictions for 2"
    )
    assert second.startswith("resnet18: 1 contenders")


def test_grids_of_one_layer_have_one_shape() -> None:
    told = [(GRID, [said()]), (LOW, [said(shape=(14, 14))])]
    with pytest.raises(
        answers.DisagreementError, match=r"bf16 grid gives a grid .* \(14, 14\), where"
    ):
        list(answers.compare("resnet18", told, ["bf16"]))


@pytest.mark.parametrize(
    ("arguments", "precision"),
    [
        ([], "fp32"),
        (["--execution", "compile=true"], "fp32"),
        (["--execution", "threads=1", "--execution", "precision=bf16"], "bf16"),
    ],
)
def test_a_variant_s_precision_is_known(arguments: list[str], precision: str) -> None:
    assert archives.precision_of(arguments) == precision
