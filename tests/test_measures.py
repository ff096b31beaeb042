"""The samples of a batch, against counting by hand; one table that the files agree with."""

from pathlib import Path
from typing import Any

import pytest
import ts
import yaml

from gradcam.measures import MEASURES, Sample, samples_of
from gradcam.record import BatchRecord, RequestRecord, Told
from repository import ROOT

METRICS_FILE = ROOT / "metrics.yaml"


def request(
    api: str = "explanations", method: str | None = "gradcam", status: int = 200, **told: Any
) -> RequestRecord:
    return RequestRecord(api, method, status, Told(**told))


def batch(*requests: RequestRecord, **changes: Any) -> BatchRecord:
    told: dict[str, Any] = {"decode": 0.5, "compute": 0.25, "render": 0.125}
    return BatchRecord(requests, **told | {"device": "cpu", "memory": 4096} | changes)


def samples(*requests: RequestRecord, **changes: Any) -> dict[str, list[tuple[Any, ...]]]:
    found: dict[str, list[tuple[Any, ...]]] = {}
    for one in samples_of(batch(*requests, **changes)):
        found.setdefault(one.name, []).append((*one.labels, one.value))
    return found


def test_a_batch_is_counted_as_by_hand() -> None:
    found = samples(
        request("predictions", None, top_probability=0.75),
        request(low_evidence=(None, "flat"), top_probability=0.5),
        request(low_evidence=(None,), top_probability=0.25),
        request(method="layercam", low_evidence=("saturated", "flat", None)),
        request(method=None, status=422, error="InvalidOption"),
        request("predictions", None, status=400, error="BrokenPicture"),
        request("predictions", None, status=500, error="EngineFault"),
        request(status=413, error="TooLarge"),
    )
    assert found == {
        "gradcam_requests_total": [
            ("predictions", "none", "ok", 1),
            ("explanations", "gradcam", "ok", 2),
            ("explanations", "layercam", "ok", 1),
            ("explanations", "none", "refused", 1),
            ("predictions", "none", "refused", 1),
            ("predictions", "none", "failed", 1),
            ("explanations", "gradcam", "refused", 1),
        ],
        "gradcam_refusals_total": [
            ("InvalidOption", 1),
            ("BrokenPicture", 1),
            ("EngineFault", 1),
            ("TooLarge", 1),
        ],
        "gradcam_batch_size": [(8,)],
        "gradcam_decode_seconds": [(0.5,)],
        "gradcam_compute_seconds": [(0.25,)],
        "gradcam_render_seconds": [(0.125,)],
        "gradcam_targets_total": [("explanations", 6)],
        "gradcam_targets_per_request": [(2,), (1,), (3,)],
        "gradcam_maps_total": [("ok", 3), ("flat", 2), ("saturated", 1)],
        "gradcam_top_probability": [(0.75,), (0.5,), (0.25,)],
        "gradcam_device_memory_bytes": [("cpu", 4096)],
    }


def test_equal_requests_are_one_sample_of_each_counter() -> None:
    alike = [request(low_evidence=(None,), top_probability=0.5)] * 8
    found = samples(*alike)
    assert found["gradcam_requests_total"] == [("explanations", "gradcam", "ok", 8)]
    assert found["gradcam_targets_total"] == [("explanations", 8)]
    assert found["gradcam_maps_total"] == [("ok", 8)]
    assert sum(map(len, found.values())) == 3 + 4 + 8 + 8 + 1


def test_a_description_counts_as_a_request_and_for_nothing_else() -> None:
    assert list(samples_of(batch(request("describe", None)))) == [
        Sample("gradcam_requests_total", ("describe", "none", "ok"), 1)
    ]


def test_a_batch_of_refusals_has_no_seconds_of_what_was_not_done() -> None:
    refused = request("predictions", None, 415, error="UnsupportedPicture")
    found = samples(refused, compute=None, render=None, memory=None)
    assert set(found) == {
        *("gradcam_requests_total", "gradcam_refusals_total"),
        *("gradcam_batch_size", "gradcam_decode_seconds"),
    }


@pytest.mark.parametrize(
    ("status", "outcome"), [(400, "refused"), (422, "refused"), (500, "failed")]
)
def test_whose_fault_it_was(status: int, outcome: str) -> None:
    assert request(status=status, error="Some").outcome == outcome
    assert request().outcome == "ok"


def test_every_sample_is_in_the_table_and_carries_its_labels() -> None:
    every = batch(
        request(low_evidence=("flat",), top_probability=1e-9), request(status=500, error="Any")
    )
    found = list(samples_of(every))
    assert {one.name for one in found} == set(MEASURES)
    for one in found:
        assert len(one.labels) == len(MEASURES[one.name].labels)
        assert all(one.labels)  # TorchServe drops a label without a value


def section(path: Path, name: str) -> dict[str, Any]:
    told: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))[name]
    return told


def declared(path: Path, name: str) -> dict[str, tuple[str, str, list[str]]]:
    return {
        one["name"]: (kind, one["unit"], one["dimensions"])
        for kind, listed in section(path, name).items()
        for one in listed
    }


def test_the_metrics_file_declares_what_the_table_has() -> None:
    ours = {
        name: (measure.kind, measure.unit, ["model_name", *measure.labels])
        for name, measure in MEASURES.items()
    }
    found = declared(METRICS_FILE, "model_metrics")
    assert {name: one for name, one in found.items() if name.startswith("gradcam_")} == ours


@pytest.mark.parametrize("name", ["ts_metrics", "model_metrics"])
def test_the_metrics_file_declares_all_of_torchserve_s_own(name: str) -> None:
    stock = declared(Path(ts.__file__).parent / "configs" / "metrics.yaml", name)
    found = declared(METRICS_FILE, name)
    assert {one: told for one, told in found.items() if not one.startswith("gradcam_")} == stock
    assert stock
