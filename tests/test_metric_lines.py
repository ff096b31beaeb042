"""The door's metrics through TorchServe's own Python side, with our metrics file and without."""

import logging
import re
from collections import Counter
from pathlib import Path

import pytest
import ts
import yaml
from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl

from archive_dir import Served, make_context, one_thread, settings
from gradcam.measures import MEASURES
from gradcam_handler import GradCAMHandler
from mixed_batch import batch
from repository import ROOT

OURS = ROOT / "metrics.yaml"
STOCK = Path(ts.__file__).parent / "configs" / "metrics.yaml"
# name.unit:value|#label:value,…|#type:TYPE|#hostname:name,time
LINE = re.compile(r"\[METRICS\](\w+)\.(\w+):([0-9.e-]+)\|#([^|]*)\|#type:(\w+)\|#hostname:.*,\d+")


def handler(folder: Path, metrics: Path | None) -> Served:
    """Loaded as a worker does that was given this metrics file."""
    context = make_context(folder, settings())
    if metrics:
        context.metrics = MetricsCacheYamlImpl(str(metrics))
        context.metrics.initialize_cache()
    loaded = GradCAMHandler()
    with one_thread():
        loaded.initialize(context)
    return Served(loaded, context, folder)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "metric" in record.name]


def test_a_batch_is_told_line_by_line_as_the_frontend_reads_it(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    served = handler(folder, OURS)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        served.batch(*batch())
    told = [LINE.fullmatch(line) for line in lines(caplog)]
    assert all(told)
    kinds, values = Counter[str](), dict[tuple[str, str], float]()
    for one in told:
        assert one is not None
        name, unit, value, labels, kind = one.groups()
        measure = MEASURES[name]
        assert (unit, kind.lower()) == (measure.unit, measure.kind)
        names = [label.split(":")[0] for label in labels.split(",")]
        assert names == ["model_name", *measure.labels]
        assert labels.startswith("model_name:zoo")
        kinds[name] += 1
        values[name, labels] = float(value)
    assert set(kinds) == set(MEASURES)
    assert kinds["gradcam_top_probability"] == 7
    assert values["gradcam_batch_size", "model_name:zoo"] == 14
    refused = "model_name:zoo,api:explanations,method:none,outcome:refused"
    assert values["gradcam_requests_total", refused] == 5
    assert values["gradcam_refusals_total", "model_name:zoo,type:MalformedRequest"] == 3


@pytest.mark.parametrize("metrics", [STOCK, None], ids=["TorchServe's own file", "no metrics"])
def test_without_our_metrics_file_nothing_is_said_and_answers_are_the_same(
    folder: Path, caplog: pytest.LogCaptureFixture, metrics: Path | None
) -> None:
    served, counted = handler(folder, metrics), handler(folder, OURS)
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        answers = served.batch(*batch())
    assert lines(caplog) == []
    warned = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert {record.name for record in warned} <= {"root"}  # TorchServe's own, of broken JSON
    assert answers == counted.batch(*batch())


def test_a_metric_declared_otherwise_is_left_out_with_one_warning(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = yaml.safe_load(OURS.read_text(encoding="utf-8"))
    (size,) = [
        one for one in told["model_metrics"]["histogram"] if one["name"] == "gradcam_batch_size"
    ]
    size["dimensions"] = ["ModelName", "Level"]
    other = tmp_path / "metrics.yaml"
    other.write_text(yaml.safe_dump(told), encoding="utf-8")
    with caplog.at_level(logging.INFO):
        served = handler(folder, other)
    (warning,) = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert "gradcam_batch_size is not counted" in warning.getMessage()
    assert "ModelName, Level instead of model_name" in warning.getMessage()
    caplog.clear()
    with caplog.at_level(logging.INFO):
        served.batch(*batch())
    names = {found[1] for line in lines(caplog) if (found := LINE.fullmatch(line))}
    assert names == set(MEASURES) - {"gradcam_batch_size"}
    assert [one for one in caplog.records if one.levelno >= logging.ERROR] == []
