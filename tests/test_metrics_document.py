"""docs/metrics.md says what the table of metrics says, and asks only for metrics that exist."""

import re

import yaml

from gradcam import errors
from gradcam.measures import MEASURES
from gradcam.request.wire import APIS
from repository import ROOT

TEXT = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
# of the agent that stands beside TorchServe in the image
AGENT = {
    *("gradcam_ready", "gradcam_ready_workers", "gradcam_expected_workers"),
    *("gradcam_pending_requests", "gradcam_queue_capacity"),
}


def rows() -> list[list[str]]:
    """The cells of the first table."""
    table = TEXT[TEXT.index("| metric |") :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def queries() -> list[str]:
    blocks = re.findall(r"```promql\n(.*?)```", TEXT, re.DOTALL)
    return [re.sub(r"#.*", "", line) for block in blocks for line in block.splitlines()]


def torchserve_s_own() -> set[str]:
    told = yaml.safe_load((ROOT / "metrics.yaml").read_text(encoding="utf-8"))
    listed = [one for each in told["ts_metrics"].values() for one in each]
    return {one["name"] for one in listed}


def test_the_document_lists_every_metric_in_order() -> None:
    found = [
        (name.strip("`"), kind, unit, tuple(re.findall(r"`(\w+)`", labels)), meaning)
        for name, kind, unit, labels, meaning, _purpose in rows()
    ]
    assert found == [
        (name, one.kind, one.unit, one.labels, one.meaning) for name, one in MEASURES.items()
    ]
    assert all(purpose for *_, purpose in rows())


def test_queries_ask_for_metrics_that_exist() -> None:
    known = AGENT | torchserve_s_own()
    for name, measure in MEASURES.items():
        parts = ("_sum", "_count", "_bucket") if measure.kind == "histogram" else ("",)
        known |= {f"{name}{part}" for part in parts}
    asked = {
        name for line in queries() for name in re.findall(r"\b(?:gradcam|ts|Requests)\w+", line)
    }
    assert asked <= known
    assert len(asked) > 15


def test_queries_ask_for_labels_that_exist() -> None:
    for line in queries():
        for name, label in re.findall(r"(gradcam_\w+)\{(\w+)", line):
            metric = name.removesuffix("_bucket")
            assert label in (*MEASURES[metric].labels, "le"), line


def test_no_query_takes_a_counter_as_it_is() -> None:
    counters = {name for name, one in MEASURES.items() if one.kind != "gauge"} | {
        name for name in torchserve_s_own() if name.startswith("ts_")
    }
    for line in queries():
        for found in re.finditer(r"\b(?:gradcam|ts)_\w+", line):
            if any(found[0].startswith(name) for name in counters):
                assert line[: found.start()].endswith("rate("), line


def test_every_error_api_and_reason_is_explained() -> None:
    kinds = [
        name
        for name, one in vars(errors).items()
        if isinstance(one, type) and issubclass(one, errors.GradcamError)
    ]
    reasons = ("ok", "saturated", "nothing_positive", "flat")
    for name in (*kinds, *APIS, *reasons, "several", "none", "refused", "failed"):
        if name != "GradcamError":
            assert f"`{name}`" in TEXT, name
