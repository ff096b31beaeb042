import math

import pytest

from archive_dir import NAMES, NUM_CLASSES
from gradcam.engine.targets import Difference, Target, Top
from gradcam.errors import InvalidOption
from gradcam.labels import parse_class_names
from gradcam.request.target_names import parse_targets

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


def test_the_best_few_may_be_more_than_there_are_classes() -> None:
    assert parse("top1000", most=12) == (Top(1000),)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("5~1", Difference(5, 1)),
        (" 5 ~ 1 ", Difference(5, 1)),
        ("n02~n01", Difference(1, 0)),
        ("tabby~7", Difference(0, 7)),
        ("TABBY~seven", Difference(0, 6)),
        ("label:tabby~label:seven", Difference(0, 6)),
        ("id:7~index:7", Difference(6, 7)),
        ("label: 3 ~ 3", Difference(8, 3)),
        ("label:n01~top3", Difference(10, 9)),  # which is a label here
    ],
)
def test_two_classes_with_a_tilde_are_their_difference(value: str, expected: Difference) -> None:
    assert parse(value) == (expected,)
    assert parse([value]) == (expected,)
    assert parse([3, value, "top2", value]) == (3, expected, Top(2))


def test_a_difference_is_one_map_among_others() -> None:
    assert parse("5~1,1~5,5,1", most=4) == (Difference(5, 1), Difference(1, 5), 5, 1)
    assert "asks for 4 maps" in refusal("5~1,1~5,5,1", most=3)
    assert parse(["Schäferhund, deutscher~tabby"]) == (Difference(5, 0),)


WITH_TILDES = parse_class_names(
    {"0": "a", "1": "b", "2": "a~b", "3": "b~a", "4": "~", "5": "label:a"}, 6
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("a~b", 2, id="a label that has a tilde wins as a whole"),
        pytest.param("A~B", 2, id="in any letter case"),
        pytest.param("label:a~b", 2, id="when forced"),
        pytest.param("label:a~label:b", Difference(0, 1), id="both sides forced"),
        pytest.param("0~1", Difference(0, 1), id="by index"),
        pytest.param("a~b~b", Difference(2, 1), id="the only cut that both sides have a name at"),
        pytest.param("a~label:a~b", Difference(0, 2), id="a forced label with a tilde"),
        pytest.param("~", 4, id="a tilde alone"),
        pytest.param("~~a", Difference(4, 0), id="a tilde against another"),
        pytest.param("label:~~~", None, id="nothing"),
    ],
)
def test_labels_with_tildes(value: str, expected: Target | None) -> None:
    if expected is None:
        with pytest.raises(InvalidOption):
            parse_targets(value, WITH_TILDES, 16)
    else:
        assert parse_targets(value, WITH_TILDES, 16) == (expected,)


def test_a_text_that_is_several_differences_is_refused() -> None:
    with pytest.raises(InvalidOption, match="2 differences"):
        parse_targets("a~b~a", WITH_TILDES, 16)  # a~b against a, or a against b~a


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("5~5", "class 5 against itself"),
        ("tabby~n01", "class 0 against itself"),
        ("tabbi~5", "'tabbi' is not a class of this model; the closest are tabby"),
        ("5~label:tabbi", "'tabbi' is not a class of this model; the closest are tabby"),
        ("5~99", "'99' does not exist; this model's classes are 0 to 11"),
        ("index:99~5", "'99' does not exist"),
        ("crane~5", "label 'crane' names 2 classes; say which: id:n02, id:n03"),
        ("top1~5", "'top1' is not a class; give an index, an id or a label on both sides"),
        ("5~top2", "'top2' is not a class"),
        ("5~", "'' is not a class"),
        ("~5", "'' is not a class"),
        ("~", "'' is not a class"),
        ("5~1~2", "not a class of this model"),
        ("~" * 100_000, "not a class of this model"),
        ("5~" * 50_000, "not a class of this model"),
    ],
)
def test_what_is_no_difference_is_told_why(value: str, told: str) -> None:
    message = refusal(value)
    assert message.startswith("target")
    assert told in message
    assert len(message) < 400
