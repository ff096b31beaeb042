"""Labelled pictures out of folders and zips."""

import json
import zipfile
from collections import Counter
from pathlib import Path

import pytest
import torch

from evaluation.pictures import DataError, draw, prepare, read_boxes
from gradcam.geometry import Box
from gradcam.labels import parse_class_names
from gradcam.settings import Preprocessing
from pictures import cat_jpeg, cat_png

CLASSES = parse_class_names({"0": "cat", "1": ["n01", "Dog"], "2": "frog"}, 3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "pictures"
    for name, count in (("cat", 5), ("n01", 3), ("FROG", 1)):
        (root / "test" / name).mkdir(parents=True)
        for number in range(count):
            (root / "test" / name / f"{number}.jpg").write_bytes(cat_jpeg())
    (root / "test" / "cat" / "notes.txt").write_text("no picture")
    return root


def zipped(folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as file:
        for one in sorted(folder.rglob("*")):
            if one.is_file():
                file.write(one, one.relative_to(folder).as_posix())
    return path


def test_classes_are_drawn_alike_until_they_run_out(folder: Path) -> None:
    found = draw(folder, "test", CLASSES, 6, seed=0)
    assert Counter(one.index for one in found) == {0: 3, 1: 2, 2: 1}
    assert len(draw(folder, "test", CLASSES, 100, seed=0)) == 9
    assert {one.data for one in found} == {cat_jpeg()}


def test_a_zip_gives_what_its_folder_gives(folder: Path) -> None:
    assert draw(zipped(folder), "test", CLASSES, 7, 3) == draw(folder, "test", CLASSES, 7, 3)


def test_the_seed_decides(folder: Path) -> None:
    def names(seed: int) -> list[str]:
        return [one.name for one in draw(folder, "test", CLASSES, 3, seed)]

    assert names(1) == names(1)
    assert len({tuple(names(seed)) for seed in range(10)}) > 1


def test_a_folder_that_is_no_class_is_refused(folder: Path) -> None:
    (folder / "test" / "giraffe").mkdir()
    (folder / "test" / "giraffe" / "0.jpg").write_bytes(cat_jpeg())
    with pytest.raises(DataError, match="'giraffe' is not called as one of the model's classes"):
        draw(folder, "test", CLASSES, 6, seed=0)


def test_no_pictures_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no pictures as train/<class>"):
        draw(folder, "train", CLASSES, 6, seed=0)
    with pytest.raises(DataError, match="neither a folder nor a zip"):
        draw(tmp_path / "nowhere", "", CLASSES, 6, seed=0)


def test_pictures_are_shown_as_the_preprocessing_says(folder: Path) -> None:
    (folder / "test" / "FROG" / "0.jpg").write_bytes(cat_png())
    drawn = draw(folder, "test", CLASSES, 3, seed=0)
    batch = prepare(drawn, Preprocessing(resize=20, crop_size=(16, 16)), torch.device("cpu"))
    assert batch.inputs.shape == (3, 3, 16, 16)
    assert batch.classes.tolist() == [0, 1, 2]
    # 90×60 pixels, the shorter side resized to 20, 16 of them shown
    assert [view.region.width for view in batch.views] == pytest.approx([48] * 3)
    some = batch.take([2, 0])
    assert (some.names, some.classes.tolist()) == ((batch.names[2], batch.names[0]), [2, 0])
    assert torch.equal(some.inputs, batch.inputs[[2, 0]])


def test_boxes(tmp_path: Path) -> None:
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps({"cat/0.jpg": [[1, 2, 30, 40], [0, 0, 5, 5]]}))
    assert read_boxes(path) == {"cat/0.jpg": (Box(1, 2, 30, 40), Box(0, 0, 5, 5))}


@pytest.mark.parametrize(
    "text", ["[", "[]", '{"a": [[1, 2, 3]]}', '{"a": [[1, 2, 0, 4]]}', '{"a": [["1", 2, 3, 4]]}']
)
def test_wrong_boxes_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "boxes.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"boxes\.json"):
        read_boxes(path)
