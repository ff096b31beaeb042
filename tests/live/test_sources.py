"""Models of every other source through the real TorchServe, held against their source networks."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from live.client import Client
from live.exact import served_map
from live.source_archives import PACKAGED, SERVED, OneSide, Source
from local_ports import get_json
from oracles import full_autograd_map
from pictures import cat, encode
from torchserve_process import TorchServe

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Mapping[str, Source]]:
    store = tmp_path_factory.mktemp("source_store")
    return store, {
        name: package(store, tmp_path_factory.mktemp(name)) for name, package in SERVED.items()
    }


@pytest.fixture(scope="module")
def running(
    sources: tuple[Path, Mapping[str, Source]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TorchServe]:
    store, _ = sources
    models = {name: f"{name}.mar" for name in SERVED}
    with TorchServe(store, models, log_dir=tmp_path_factory.mktemp("source_logs")) as server:
        server.wait_ready(timeout=300)
        yield server
        assert "Traceback" not in server.log_text()


@pytest.fixture(params=PACKAGED)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def source(name: str, sources: tuple[Path, Mapping[str, Source]]) -> Source:
    return sources[1][name]


def explained(running: TorchServe, name: str, target: str) -> Any:
    client = Client(running.inference_url)
    reply = client.put(f"explanations/{name}", encode(cat()), {"X-Explain-Target": target})
    assert reply.status == 200, reply.body
    return reply.document()


def test_predictions_are_those_of_the_source_network(
    running: TorchServe, name: str, source: Source
) -> None:
    logits = source.exact.logits(cat())
    scale = float(logits.abs().max())
    found = {
        entry["label"]: entry["logit"] for entry in explained(running, name, "0")["predictions"]
    }
    assert set(found) == set(source.labels)
    for index, label in enumerate(source.labels):
        assert found[label] == pytest.approx(float(logits[index]), abs=1e-4 * scale)
    told = Client(running.inference_url).put(f"predictions/{name}", encode(cat())).document()
    expected = torch.softmax(logits, 0)
    for index, label in enumerate(source.labels):
        assert told[label] == pytest.approx(float(expected[index]), abs=1e-4)


def test_maps_are_those_of_full_autograd_on_the_source_network(
    running: TorchServe, name: str, source: Source
) -> None:
    positive = 0
    entries = explained(running, name, "0,1,2")["explanations"]
    assert [entry["index"] for entry in entries] == [0, 1, 2]
    for entry in entries:
        assert entry["layer"] == source.layer
        assert entry.get("bypassed", False) is source.bypassed
        picture = source.prepare(cat())
        index = entry["index"]
        raw = full_autograd_map(source.network, source.layer, picture, index, source.arrange)
        assert tuple(raw.shape) == source.grid
        gap = (served_map(entry) - raw.relu()).abs().max()
        assert float(gap) <= 1e-4 * float(raw.abs().max())
        positive += int(raw.max() > 0.1 * raw.abs().max())
    assert positive, "maps without a positive part would be equal whatever was computed"


def test_the_management_api_knows_the_model(running: TorchServe, name: str) -> None:
    (model,) = get_json(f"{running.management_url}/models/{name}")
    (worker,) = model["workers"]
    assert worker["status"] == "READY"


def test_both_sides_of_one_logit_are_predicted_and_explained(
    running: TorchServe, sources: tuple[Path, Mapping[str, Source]]
) -> None:
    source = sources[1]["binary"]
    picture = source.prepare(cat())

    answer = explained(running, "binary", "benign,malignant")

    with torch.no_grad():
        score = float(source.network(picture[None])["score"])
    told = {entry["label"]: entry for entry in answer["predictions"]}
    assert told["malignant"]["logit"] == pytest.approx(score, rel=1e-4)
    assert told["benign"]["logit"] == pytest.approx(-score, rel=1e-4)
    positive = float(torch.sigmoid(torch.tensor(score)))
    assert told["malignant"]["probability"] == pytest.approx(positive, abs=1e-5)
    assert told["benign"]["probability"] == pytest.approx(1 - positive, abs=1e-5)
    for entry, sign in zip(answer["explanations"], (-1, 1), strict=True):
        raw = full_autograd_map(OneSide(source.network, sign), "network.stem", picture, 0)
        gap = (served_map(entry) - raw.relu()).abs().max()
        assert float(gap) <= 1e-4 * float(raw.abs().max())


@pytest.mark.parametrize("name", ["vit"])
def test_a_transformers_map_can_be_scored_and_flipped(running: TorchServe, name: str) -> None:
    client = Client(running.inference_url)
    options = {"X-Explain-Score": "true", "X-Explain-Flip": "true", "X-Explain-Method": "layercam"}

    document = client.put(f"explanations/{name}", encode(cat()), options).document()

    (entry,) = document["explanations"]
    # a residual leads around the layer, so the cells are masked in the picture
    assert entry["faithfulness"]["space"] == "input"
    assert 0 <= entry["faithfulness"]["deletion"] <= 1
    assert entry["flip"] is True
