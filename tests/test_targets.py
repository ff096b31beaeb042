import math

import pytest
import torch

from archive_dir import NAMES, NUM_CLASSES
from gradcam.errors import InvalidOption
from gradcam.labels import parse_class_names
from gradcam.targets import Target, Top, parse_targets, resolve_targets

CLASSES = parse_class_names(NAMES, NUM_CLASSES)


def parse(value: object, most: int = 16) -> tuple[Target, ...]:
    return parse_targets(value, CLASSES, most)


def refusal(value: object, most: int = 16) -> str:
    with pytest.raises(InvalidOption) as caught:
        parse(value, most)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, (5,)),
        ("5", (5,)),
        (" 5 ", (5,)),
        ("005", (5,)),
        ("n02", (1,)),
        ("tabby", (0,)),
        ("TABBY", (0,)),
        ("seven", (6,)),
        ("top1", (Top(1),)),
        ("Top4", (Top(4),)),
        ("top99", (Top(99),)),
    ],
)
def test_one_target_is_an_index_an_id_a_label_or_the_best_few(
    value: object, expected: tuple[Target, ...]
) -> None:
    assert parse(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("7", (7,), id="index before id"),
        pytest.param("id:7", (6,), id="the id when forced"),
        pytest.param("3", (3,), id="index before label"),
        pytest.param("label:3", (8,), id="the label when forced"),
        pytest.param("n01", (0,), id="id before label"),
        pytest.param("label:n01", (10,), id="the label n01 when forced"),
        pytest.param("top3", (9,), id="label before topN"),
        pytest.param("top2", (Top(2),), id="topN where no label is called so"),
        pytest.param("index:7", (7,), id="the index when forced"),
        pytest.param("index: 7", (7,), id="a blank after the prefix"),
        pytest.param("label:TABBY", (0,), id="forced labels in any letter case"),
    ],
)
def test_names_are_tried_in_order_and_a_prefix_forces_one(
    value: str, expected: tuple[Target, ...]
) -> None:
    assert parse(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("5,tabby,top2", (5, 0, Top(2))),
        (" 5 , tabby , ", (5, 0)),
        ([5, "tabby", "top2"], (5, 0, Top(2))),
        ('[5, "tabby", "top2"]', (5, 0, Top(2))),
        (["Schäferhund, deutscher"], (5,)),
        ('["Schäferhund, deutscher", 1]', (5, 1)),
        ("5,5,index:5", (5,)),
        ([0, "tabby", "n01", "0"], (0,)),
    ],
)
def test_several_targets_keep_their_order_and_are_answered_once(
    value: object, expected: tuple[Target, ...]
) -> None:
    assert parse(value) == expected


def test_a_label_that_several_classes_have_is_refused_with_the_choices() -> None:
    assert "id:n02, id:n03" in refusal("crane")
    assert "index:3, index:4" in refusal("label:Maillot")


@pytest.mark.parametrize("value", ["tabbi", "label:tabbi", "id:tabby1", ["tabbi"]])
def test_a_misspelt_name_brings_the_closest(value: object) -> None:
    assert "tabby" in refusal(value)


@pytest.mark.parametrize("value", ["12", 12, "index:12", "999999999", -1, "index:-1", 10**400])
def test_an_index_out_of_range_is_told_the_range(value: object) -> None:
    assert "0 to 11" in refusal(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "  ",
        ",",
        [],
        "[]",
        [""],
        True,
        None,
        1.0,
        math.nan,
        {},
        {"index": 1},
        [[1]],
        [None],
        [True],
        "[1",
        "[" * 100_000,
        "²",
        "１",
        "top",
        "top-1",
        "top²",
        "top0",
        "top1.5",
        "index:",
        "index:²",
        "id:",
        "label:",
        "label:top1",
        "9" * 5000,
        "x" * 100_000,
        "\0",
    ],
)
def test_odd_targets_are_refused_in_a_short_sentence(value: object) -> None:
    message = refusal(value)
    assert message.startswith("target")
    assert len(message) < 400


def test_at_most_so_many_targets_after_expansion() -> None:
    assert len(parse(list(range(12)), most=12)) == 12
    assert "asks for 12 maps; at most 11 " in refusal(list(range(12)), most=11)
    assert parse("top12,0", most=13) == (Top(12), 0)
    assert "asks for 13 maps" in refusal("top12,0", most=12)


def test_the_best_few_are_never_more_than_there_are_classes() -> None:
    assert parse("top1000", most=12) == (Top(1000),)
    assert resolve_targets((Top(1000),), torch.arange(12.0)) == tuple(range(11, -1, -1))


def test_targets_become_the_picture_own_classes_each_once() -> None:
    logits = torch.tensor([0.0, 5.0, 1.0, 3.0])
    assert resolve_targets((2, Top(3), 0, 1), logits) == (2, 1, 3, 0)
    assert resolve_targets((Top(1), Top(2)), logits) == (1, 3)
