"""What an inspection finds, its tables and its sheet, on the demo model."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import inspect_model
from archive_dir import one_thread
from archived_model import ArchivedModel, open_model
from asking import ask_for
from gradcam import LayerTable, Outcome
from gradcam.pictures.picture import Picture
from inspection.findings import Findings, Wish, find_out, why_default
from inspection.prices import measure_prices
from inspection.sheet import save_sheet
from inspection.tables import text
from packaging_options import PackagingOptions
from pictures import cat, cat_png


@pytest.fixture(scope="module")
def model() -> ArchivedModel:
    return open_model(PackagingOptions(arch="demo_net"))


@pytest.fixture(scope="module")
def findings(model: ArchivedModel) -> Findings:
    wish = Wish(["gradcam", "nonsense"], ["layer2", "layer3"], None, rounds=2, most_passes=256)
    with one_thread():
        return find_out(model, Picture.of(cat()), wish)


def test_every_candidate_is_found_with_its_field_and_price(findings: Findings) -> None:
    names = [layer.name for layer in findings.layers]
    assert names == ["stem.0", "stem.1", "stem", "layer1", "layer2", "layer3"]
    assert list(findings.fields) == names
    assert list(findings.layer_prices) == names
    assert list(findings.method_prices) == ["gradcam"]
    assert findings.default == "layer3"
    assert findings.predictions[0][0] == "cat"
    probabilities = [probability for _, probability in findings.predictions]
    assert probabilities == sorted(probabilities, reverse=True)
    assert 0 < sum(probabilities) <= 1.0001


def test_cells_hold_the_engines_maps_or_the_reason(findings: Findings) -> None:
    model = findings.model
    batch = torch.zeros((1, 3, 48, 48))
    assert findings.cells["gradcam", "layer2"].reason == ""
    assert "does not exist" in findings.cells["nonsense", "layer3"].reason
    shapes = {
        layer: tuple(cell.grid.shape)
        for (method, layer), cell in findings.cells.items()
        if cell.grid is not None
    }
    assert shapes == {"layer2": (12, 12), "layer3": (12, 12)}
    (outcome,) = model.explainer.run(batch, [ask_for([findings.target], "gradcam", "layer3")])
    assert isinstance(outcome, Outcome)
    assert outcome.maps[0].index == model.classes.by_label["cat"][0]


def test_the_table_says_all_of_it(findings: Findings) -> None:
    told = text(findings)
    lines = told.splitlines()
    assert lines[0] == "demo: demo_net, 10 classes, input 48×48"
    assert any(line.startswith("layer3 *  ") and " 160  12×12  41×41 " in line for line in lines)
    assert any(line.startswith("default layer: layer3 (the last candidate") for line in lines)
    assert "no map: nonsense at layer2, layer3: method 'nonsense' does not exist" in told


def test_why_a_layer_is_the_default() -> None:
    table = LayerTable({}, ("one", "two", "three", "four"), "two", "")
    assert why_default(table, "four", "four") == "the model's settings name it"
    assert why_default(table, "two", None).endswith("and three, four after it only pool it")
    assert why_default(table, "three", None).endswith("and four after it only pools it")
    assert "only" not in why_default(table, "four", None)
    assert "residual" in why_default(table, "elsewhere", None)


def test_a_price_is_a_multiple_of_the_forward_pass(model: ArchivedModel) -> None:
    batch = torch.zeros((1, 3, 48, 48))
    rounds: list[str] = []
    with one_thread():
        forward, found = measure_prices(
            model.explainer, batch, {"a": ask_for([3], "gradcam", "layer3")}, 3, rounds.append
        )
    assert forward > 0
    assert 0 < found["a"].low <= found["a"].median <= found["a"].high
    assert rounds == [f"prices, round {number}" for number in (1, 2, 3)]


def test_methods_that_take_a_pass_for_every_channel_are_bounded(model: ArchivedModel) -> None:
    wish = Wish(["gradcam", "scorecam"], ["layer3"], 3, rounds=1, most_passes=159)
    with one_thread():
        found = find_out(model, Picture.of(cat()), wish)
    assert found.cells["scorecam", "layer3"].reason == "160 passes, beyond --most-passes"


def test_the_sheet_shows_the_map_where_it_lies(findings: Findings, tmp_path: Path) -> None:
    """Of the demo model's cat, the map of layer3 colours the picture's middle, not its corners."""
    path = tmp_path / "sheet.png"
    save_sheet(findings, path)
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"), np.int64)
    height, width = pixels.shape[:2]
    assert width > height > 300
    red = (pixels[..., 0] > 150) & (pixels[..., 1] < 90) & (pixels[..., 2] < 90)
    # below the header and above the scale: both maps have a hot place
    assert int(red[height // 3 : -height // 4].sum()) > 50


def test_the_script_inspects_the_demo_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    picture, out = tmp_path / "cat.png", tmp_path / "new" / "sheet.jpg"
    picture.write_bytes(cat_png())
    line = ["inspect_model.py", str(picture), "--out", str(out), "--threads", "1"]
    line += ["--methods", "gradcam", "--most-layers", "2", "--rounds", "1", "--target", "Dog"]
    monkeypatch.setattr(sys, "argv", line)
    threads = torch.get_num_threads()
    try:
        assert inspect_model.main() == 0
    finally:
        torch.set_num_threads(threads)
    told = capsys.readouterr().out
    assert "explained: dog" in told
    assert told.splitlines()[-1] == f"saved {out}"
    with Image.open(out) as image:
        assert min(image.size) > 200


def test_the_script_says_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for extra, said in (
        (["--methods", "gradcamp"], "method 'gradcamp' does not exist"),
        (["--target", "giraffe"], "there is no class 'giraffe'"),
        (["--layers", "layer9"], "layer 'layer9' does not exist"),
        (["nowhere.png"], "nowhere.png"),
    ):
        monkeypatch.setattr(sys, "argv", ["inspect_model.py", *extra])
        assert inspect_model.main() == 2
        assert said in capsys.readouterr().err
