"""The article's two networks through the live server, held against full autograd in float64."""

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torchvision import models

from live.client import Client
from live.exact import Exact, read_exact, served_map
from pictures import cat, encode

pytestmark = pytest.mark.live

ELEPHANT = {"index": 386, "id": "n02504458", "label": "African elephant"}
LAYERS: Mapping[str, tuple[str, int]] = {
    "vgg19": ("features.35", 14),
    "densenet201": ("features", 7),
}
TARGETS = "African elephant,top1"


def _photograph() -> Image.Image:
    return cat().resize((500, 375), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module", params=LAYERS)
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def exact(architecture: str, store: Path) -> Exact:
    return read_exact(store / f"{architecture}.mar")


@pytest.fixture(scope="module")
def answer(architecture: str, client: Client) -> Any:
    headers = {"X-Explain-Target": TARGETS}
    return client.put(f"explanations/{architecture}", encode(_photograph()), headers).document()


def test_maps_differ_from_full_autograd_by_less_than_a_ten_thousandth(
    architecture: str, exact: Exact, answer: Any
) -> None:
    layer, side = LAYERS[architecture]
    positive = 0
    for entry in answer["explanations"]:
        assert entry["layer"] == layer
        assert (entry["heatmap"]["height"], entry["heatmap"]["width"]) == (side, side)
        raw = exact.raw_map(_photograph(), layer, entry["index"])
        gap = (served_map(entry) - raw.relu()).abs().max()
        assert float(gap) <= 1e-4 * float(raw.abs().max())
        positive += int(raw.max() > 0.1 * raw.abs().max())
    assert positive, "maps without a positive part would be equal whatever was computed"


def test_predictions_are_those_of_the_network(exact: Exact, answer: Any) -> None:
    logits = exact.logits(_photograph())
    scale = float(logits.abs().max())
    for entry in [*answer["predictions"], *answer["explanations"]]:
        assert entry["logit"] == pytest.approx(float(logits[entry["index"]]), abs=1e-4 * scale)
    told = [entry["index"] for entry in answer["predictions"]]
    best = float(logits.max())
    assert len(set(told)) == 5
    assert float(logits[told].min()) >= float(logits.topk(5).values.min()) - 1e-4 * scale
    assert float(logits[answer["explanations"][1]["index"]]) >= best - 1e-4 * scale


def test_the_region_is_what_the_centre_crop_shows(answer: Any) -> None:
    assert answer["image"] == {"width": 500, "height": 375}
    for entry in answer["explanations"]:
        # 375 -> 256 makes 500 -> 341; the crop of 224 starts at 58 and 16
        expected = [58 * 500 / 341, 16 * 375 / 256, 224 * 500 / 341, 224 * 375 / 256]
        assert entry["heatmap"]["region"] == pytest.approx(expected, abs=0.001)


def test_classes_have_imagenets_labels_and_ids(answer: Any) -> None:
    categories = models.ResNet50_Weights.DEFAULT.meta["categories"]
    assert {key: answer["explanations"][0][key] for key in ELEPHANT} == ELEPHANT
    for entry in answer["predictions"]:
        assert entry["label"] == categories[entry["index"]]
        assert entry["id"].startswith("n")
    assert len({entry["id"] for entry in answer["predictions"]}) == 5


def test_the_answer_names_the_weights_it_used(architecture: str, answer: Any, store: Path) -> None:
    with zipfile.ZipFile(store / f"{architecture}.mar") as file:
        digest = hashlib.sha256(file.read("weights.safetensors")).hexdigest()
    assert answer["model"] == {
        "name": architecture,
        "version": "1.0",
        "architecture": architecture,
        "weights_sha256": digest,
        "handler_version": answer["model"]["handler_version"],
    }


def test_the_demo_models_map_is_exact_too(demo: str, store: Path, client: Client) -> None:
    exact = read_exact(store / "demo.mar")
    (entry,) = client.put(f"explanations/{demo}", encode(cat())).document()["explanations"]
    raw = exact.raw_map(cat(), entry["layer"], entry["index"])
    assert raw.max() > 0
    assert float((served_map(entry) - raw.relu()).abs().max() / raw.abs().max()) <= 1e-4
    assert min(raw.shape) >= 8
    assert int(torch.argmax(exact.logits(cat()))) == entry["index"]
