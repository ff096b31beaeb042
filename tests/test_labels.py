import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcam.errors import SettingsError
from gradcam.labels import ClassName, load_class_names, parse_class_names

FEW_TEXTS = st.sampled_from(["a", "b", "a (0)", "a (1)", "a (b)", "0", "a (0) (0)"])


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param(
            {"0": "cat", "1": "dog"},
            [ClassName(0, None, "cat"), ClassName(1, None, "dog")],
            id="label",
        ),
        pytest.param(
            {"1": ["n02", "dog"], "0": ["n01", "cat"]},
            [ClassName(0, "n01", "cat"), ClassName(1, "n02", "dog")],
            id="id and label, out of order",
        ),
        pytest.param(
            {"0": ["n01", "cat", "tabby cat"], "1": ["dog"]},
            [ClassName(0, "n01", "tabby cat"), ClassName(1, None, "dog")],
            id="the last of a list is the label",
        ),
        pytest.param(
            {"object_type_names": ["cat", "dog"]},
            [ClassName(0, None, "cat"), ClassName(1, None, "dog")],
            id="object_type_names",
        ),
        pytest.param(
            {"1": "dog"},
            [ClassName(0, None, "0"), ClassName(1, None, "dog")],
            id="a class without a name is called by its index",
        ),
    ],
)
def test_every_form_that_torchserve_accepts_is_read(
    document: object, expected: list[ClassName]
) -> None:
    classes = parse_class_names(document, 2)
    assert list(classes.names) == expected
    assert len(classes) == 2
    assert classes[1] == expected[1]


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        (["cat", "dog"], "must be a JSON object"),
        ({"2": "bird"}, "'2' is not a class index from 0 to 1"),
        ({"-1": "bird"}, "'-1' is not a class index"),
        ({"cat": "0"}, "'cat' is not a class index"),
        ({"0": 7}, "class 0 is 7"),
        ({"0": []}, "class 0 is []"),
        ({"0": ["n01", 5]}, "class 0 is ['n01', 5]"),
        ({"0": None}, "class 0 is None"),
        ({"object_type_names": ["cat", "dog", "bird"]}, "'2' is not a class index"),
    ],
)
def test_anything_else_is_refused_and_the_forms_are_named(document: object, complaint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_class_names(document, 2)
    assert complaint in str(caught.value)
    assert '{"0": ["n02123045", "tabby"]}' in str(caught.value)


def test_a_missing_file_gives_indices_as_labels(tmp_path: Path) -> None:
    classes = load_class_names(tmp_path / "index_to_name.json", 3)
    assert [name.label for name in classes.names] == ["0", "1", "2"]
    assert [name.id for name in classes.names] == [None, None, None]


def test_a_file_is_read_as_utf8(tmp_path: Path) -> None:
    path = tmp_path / "index_to_name.json"
    path.write_bytes(json.dumps({"0": "Schäferhund"}, ensure_ascii=False).encode())
    assert load_class_names(path, 1)[0].label == "Schäferhund"


@pytest.mark.parametrize("content", [b'{"0": "cat"', b'{"0": "\xff"}', b""])
def test_a_file_that_is_not_json_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "index_to_name.json"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"index_to_name\.json is not JSON"):
        load_class_names(path, 1)


def test_classes_are_found_by_id_exactly_and_by_label_in_any_letter_case() -> None:
    classes = parse_class_names({"0": ["n1", "Crane"], "1": ["n2", "crane"], "2": "STRASSE"}, 3)
    assert classes.by_label["crane"] == (0, 1)
    assert classes.by_label["straße".casefold()] == (2,)
    assert classes.by_id == {"n1": (0,), "n2": (1,)}


def test_a_label_that_repeats_gets_its_id_or_its_index_behind_it() -> None:
    names = {"0": ["n02012849", "crane"], "1": "dog", "2": "maillot", "3": "maillot", "4": "crane"}
    assert parse_class_names(names, 5).unique_labels == (
        "crane (n02012849)",
        "dog",
        "maillot (2)",
        "maillot (3)",
        "crane (4)",
    )


def test_a_repeated_label_never_takes_the_key_of_another_class() -> None:
    keys = parse_class_names({"0": "a", "1": "a", "2": "a (0)"}, 3).unique_labels
    assert len(set(keys)) == 3
    assert keys[2] == "a (0)"


@given(st.lists(st.tuples(st.none() | FEW_TEXTS, FEW_TEXTS), min_size=1, max_size=8))
def test_no_class_is_lost_whatever_the_names_are(names: list[tuple[str | None, str]]) -> None:
    entries = {
        str(index): label if known is None else [known, label]
        for index, (known, label) in enumerate(names)
    }
    classes = parse_class_names(entries, len(names))
    keys = classes.unique_labels
    assert len(set(keys)) == len(names)
    labels = [label for _, label in names]
    for key, label in zip(keys, labels, strict=True):
        assert key.startswith(label)
        assert (key == label) == (labels.count(label) == 1)
