"""A comparison from end to end, on a network whose class is where its colour is."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from torch import Tensor, nn

import evaluate
from archived_model import ArchivedModel
from evaluation.comparison import Plan, compare
from evaluation.pictures import Batch
from gradcam import METHODS, Explainer
from gradcam.geometry import Box, plan_view
from gradcam.labels import parse_class_names
from gradcam.networks import freeze
from gradcam.settings import Preprocessing, Settings

SIDE = 12


class Colours(nn.Module):
    """Logit c is 8 times the mean of channel c's positive part, less those of the other channels.

    There are 3×3 cells of 4×4 pixels.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.Sequential(nn.AvgPool2d(4), nn.Conv2d(3, 3, 1, bias=False), nn.ReLU())
        self.fc = nn.Linear(3, 3, bias=False)
        with torch.no_grad():
            self.get_parameter("cells.1.weight").copy_(torch.eye(3).view(3, 3, 1, 1))
            self.fc.weight.copy_(9 * torch.eye(3) - 1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.cells(x).mean(dim=(2, 3)))
        return logits


def pictures() -> Batch:
    """Each shows its class's colour in one of nine cells; the last one is called what it is not."""
    places = [(0, 0), (1, 1), (2, 1), (0, 2), (1, 0), (2, 2)]
    inputs = torch.zeros((6, 3, SIDE, SIDE))
    for number, (row, column) in enumerate(places):
        inputs[number, number % 3, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = 4
    view = plan_view(Box(0, 0, SIDE, SIDE), Preprocessing(crop_size=(SIDE, SIDE), squash=True))
    names = tuple(f"c/{number}.png" for number in range(6))
    return Batch(names, inputs, torch.tensor([0, 1, 2, 0, 1, 0]), (view,) * 6)


def model() -> ArchivedModel:
    network = freeze(Colours().eval())
    settings = Settings("colours", 3, preprocessing=Preprocessing(crop_size=(SIDE, SIDE)))
    return ArchivedModel(
        "colours", Explainer(network, (SIDE, SIDE)), settings, parse_class_names({}, 3)
    )


def test_a_map_that_is_right_wins_by_every_measure() -> None:
    boxes = {"c/0.png": (Box(0, 0, 4, 4),), "c/1.png": (Box(8, 8, 4, 4),)}
    plan = Plan(["gradcam"], ["cells"], 0, 2, 2, boxes, seed=0)
    found = compare(model(), pictures(), {"source": "made up"}, plan)
    assert (found.data["drawn"], found.data["right"]) == (6, 5)
    assert found.layers == ["cells"]
    (gradcam,), (random, gaussian, uniform) = found.methods, found.baselines
    for row in (random, gaussian, uniform):
        for name in ("road", "insertion"):
            assert (gradcam.mean(name) or 0) > (row.mean(name) or 0)
        assert (gradcam.mean("deletion") or 1) < (row.mean("deletion") or 0)
    for row in (random, gaussian):
        assert (gradcam.mean("average_drop") or 1) < (row.mean("average_drop") or 0)
    assert uniform.mean("average_drop") == 0  # who shows everything loses nothing
    assert len(gradcam.values["road"]) == 5
    assert len(gradcam.values["box_energy"]) == 2
    assert gradcam.values["box_energy"][0] > 0.5
    # the wrong cell, of which interpolation reaches a corner: (½ · ½ · 4) of 16 · 4 pixels' mass
    assert gradcam.values["box_energy"][1] == pytest.approx(1 / 64)
    assert uniform.values["box_energy"] == pytest.approx([1 / 9, 1 / 9])
    # a mean of 4 / 9 gives 8 · 4 / 9 and twice −4 / 9
    likely = np.exp(4) / (np.exp(4) + 2)
    assert found.settings["probability"] == pytest.approx(likely, abs=1e-5)
    assert found.settings["probability_blank"] == pytest.approx(1 / 3, abs=1e-5)
    assert gradcam.curves["deletion"][0] == pytest.approx(likely)
    assert gradcam.curves["deletion"][-1] == pytest.approx(1 / 3)
    assert found.stages == ["fc", "cells"]
    assert len(gradcam.curves["rank_correlation"]) == len(found.stages)
    assert gaussian.mean("rank_correlation") == pytest.approx(1)


def test_what_cannot_be_measured_is_said() -> None:
    plan = Plan(["gradcam", "nonsense"], ["cells", "fc"], 4, 2, 1, {}, seed=0)
    found = compare(model(), pictures(), {}, plan)
    reasons = {(method, layer): why for method, layer, why in found.skipped}
    assert set(reasons) == {("nonsense", "cells"), ("gradcam", "fc"), ("nonsense", "fc")}
    assert "no" in reasons["gradcam", "fc"]
    assert "takes 4 classes; there are 3" in found.settings["no_mosaics"]
    assert "grid_pointing" not in found.measured


def test_grad_cam_finds_the_right_cell_of_a_mosaic() -> None:
    batch = pictures()
    network = model().explainer.network
    wide = nn.Conv2d(3, 4, 1, bias=False)
    assert isinstance(network, Colours)
    # a fourth class, so that four cells can be told apart: what has no colour but is not black
    with torch.no_grad():
        wide.weight.copy_(torch.cat([torch.eye(3), -torch.ones(1, 3)]).view(4, 3, 1, 1))
        network.cells[1] = wide
        network.fc = nn.Linear(4, 4, bias=False)
        network.fc.weight.copy_(9 * torch.eye(4) - 1)
    batch.inputs[5] = 0
    batch.inputs[5, :, 4:8, 4:8] = -4
    batch.classes[5] = 3
    explainer = Explainer(freeze(network.eval()), (SIDE, SIDE))
    four = ArchivedModel("four", explainer, model().settings, parse_class_names({}, 4))
    found = compare(four, batch, {}, Plan(["gradcam"], ["cells"], 3, 2, 1, {}, seed=0))
    assert found.settings["mosaic_scaled"] is False
    assert (found.methods[0].mean("grid_pointing") or 0) > 0.9
    for row in found.baselines:
        assert row.mean("grid_pointing") == pytest.approx(0.25, abs=0.06)


def folder_of(root: Path) -> Path:
    """Pictures that scikit-image ships, under names of the demo model's classes."""
    shown = {"cat": skimage.data.chelsea(), "airplane": skimage.data.rocket()}
    for name, pixels in shown.items():
        (root / name).mkdir(parents=True)
        image = Image.fromarray(pixels)
        for number in range(3):
            image.crop((10 * number, 0, image.width, image.height)).save(
                root / name / f"{number}.png"
            )
    return root


def test_the_script_compares_the_demo_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    line = ["evaluate.py", str(folder_of(tmp_path / "pictures")), "--pictures", "6"]
    line += ["--methods", "gradcam", "--layers", "layer2", "--forgetting", "1", "--threads", "1"]
    monkeypatch.setattr(sys, "argv", [*line, "--mosaics", "1", "--out", str(out)])
    threads = torch.get_num_threads()
    try:
        assert evaluate.main() == 0
    finally:
        torch.set_num_threads(threads)
    told = capsys.readouterr()
    assert told.out.splitlines()[1].split()[:2] == ["gradcam", "layer3"]
    assert "no grid pointing game" in told.out
    assert "6/6" in told.err
    result = json.loads((out / "evaluation.json").read_text())
    names = [(one["method"], one["layer"]) for one in result["contenders"]]
    assert names[:2] == [("gradcam", "layer3"), ("gradcam", "layer2")]
    assert [name for name, _ in names[2:]] == ["random", "gaussian", "uniform"]
    for name in ("methods", "curves", "layers", "forgetting"):
        with Image.open(out / f"evaluation-{name}.png") as image:
            assert min(image.size) > 200
            assert np.asarray(image.convert("L")).std() > 5  # something is drawn


def test_the_script_says_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for extra, said in (
        (["--methods", "gradcamp"], f"does not exist; there are {', '.join(METHODS)}"),
        (["--archive", str(tmp_path / "no.mar")], "is not an archive that package_model.py made"),
        (["--seed", "3"], "--seed goes with --weights none"),
    ):
        monkeypatch.setattr(sys, "argv", ["evaluate.py", str(tmp_path), *extra])
        assert evaluate.main() == 2
        assert said in capsys.readouterr().err
