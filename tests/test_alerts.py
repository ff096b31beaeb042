"""Alerts, dashboard and autoscaling: they ask for metrics that there are, and answer rightly."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from debian_tools import NoProgramError, find_program
from manifests.scaling import raw_counters
from rendered_overlays import only, rendered
from repository import ROOT

SERIES = ROOT / "tests" / "data" / "alerts.test.yaml"

# the agent's in the container, which metrics.yaml does not declare
AGENT = {
    "gradcam_pending_requests": {"model_name"},
    "gradcam_queue_capacity": {"model_name"},
    "gradcam_ready_workers": {"model_name"},
    "gradcam_expected_workers": {"model_name"},
    "gradcam_ready": set(),
    "gradcam_draining": set(),
    "gradcam_door_connections": {"state"},
}
# what Prometheus adds when it reads a pod
TARGET = {"namespace", "pod"}
# functions, operators and words of PromQL that stand in ours
WORDS = {
    "sum",
    "max",
    "count",
    "rate",
    "increase",
    "changes",
    "absent",
    "max_over_time",
    "histogram_quantile",
} | {"vector", "by", "on", "ignoring", "group_left", "unless", "or"}
_STRING = re.compile(r'"[^"]*"')
_WINDOW = re.compile(r"\[[^\]]*\]")
_LABELS = re.compile(r"(?:\b(?:by|on|ignoring)\s*\(([^)]*)\))|\{([^}]*)\}")
_WORD = re.compile(r"(?<![\w.$])[a-zA-Z_:][\w:]*")


def declared() -> dict[str, set[str]]:
    """By metric of TorchServe or the handler, as /metrics shows it, the labels that it has."""
    document = yaml.safe_load((ROOT / "metrics.yaml").read_text(encoding="utf-8"))
    found: dict[str, set[str]] = {}
    for part in ("ts_metrics", "model_metrics"):
        for kind, metrics in document[part].items():
            for metric in metrics:
                labels = {*metric["dimensions"], "Hostname"}
                endings = ("",) if kind != "histogram" else ("_bucket", "_sum", "_count")
                for ending in endings:
                    more = {"le"} if ending == "_bucket" else set()
                    found[f"{metric['name']}{ending}"] = labels | more
    return found


def dashboard() -> dict[str, Any]:
    data = only(rendered("monitoring"), "ConfigMap", "gradcam-dashboard")["data"]
    loaded: dict[str, Any] = json.loads(data["gradcam.json"])
    return loaded


def alerts() -> list[dict[str, Any]]:
    (group,) = only(rendered("monitoring"), "PrometheusRule")["spec"]["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def triggers() -> list[dict[str, Any]]:
    """Those of both ways to scale, each once."""
    found = {}
    for name in ("autoscale-keda", "autoscale-keda-gpu"):
        for one in only(rendered(name), "ScaledObject")["spec"]["triggers"]:
            found[one["name"]] = one
    return list(found.values())


def promtool() -> str:
    try:
        return str(find_program("promtool"))
    except NoProgramError as error:
        pytest.skip(str(error))


def queries() -> Iterator[tuple[str, str]]:
    """Every query that we ask, by where it is asked."""
    for alert in alerts():
        yield f"alert {alert['alert']}", alert["expr"]
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield f"panel {panel['title']} {target['refId']}", target["expr"]
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            query = variable["query"]["query"]
            # the second argument is a label
            yield (
                f"variable {variable['name']}",
                query.rsplit(",", 1)[0].removeprefix("label_values("),
            )
    for trigger in triggers():
        yield f"trigger {trigger['name']}", trigger["metadata"]["query"]


ASKED = dict(queries())


@pytest.mark.parametrize("where", ASKED)
def test_every_metric_and_label_that_is_asked_for_is_there(where: str) -> None:
    plain = _WINDOW.sub("", _STRING.sub("", ASKED[where]))
    labels = {
        label.strip(" =~!")
        for groups in _LABELS.findall(plain)
        for group in groups
        for label in group.split(",")
        if label.strip()
    }
    metrics = set(_WORD.findall(_LABELS.sub("", plain))) - WORDS
    known = declared() | AGENT
    assert metrics, "no metric was found in it"
    assert metrics <= set(known)
    assert labels <= TARGET.union(*(known[metric] for metric in metrics))


@pytest.mark.parametrize("where", ASKED)
def test_no_counter_is_taken_as_it_is(where: str) -> None:
    assert raw_counters(ASKED[where]) == []


def test_raw_counters_are_known_by_their_names() -> None:
    assert raw_counters('rate(a_total{x="(["}[5m]) + sum(b_sum)') == ["b_sum"]
    assert raw_counters("ts_queue_latency_microseconds") == ["ts_queue_latency_microseconds"]
    assert raw_counters("increase( a_count [1h]) / max_over_time(a_count[1h])") == ["a_count"]
    assert raw_counters("sum(gradcam_pending_requests)") == []


def test_the_dashboard_has_a_panel_for_every_metric_of_the_handler() -> None:
    shown = " ".join(query for where, query in ASKED.items() if where.startswith("panel"))
    document = yaml.safe_load((ROOT / "metrics.yaml").read_text(encoding="utf-8"))
    ours = [
        metric["name"]
        for metrics in document["model_metrics"].values()
        for metric in metrics
        if metric["name"].startswith("gradcam_")
    ]
    assert len(ours) >= 10
    assert [name for name in [*ours, *AGENT] if name not in shown] == []


def test_the_dashboard_s_panels_lie_beside_each_other() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) == 23


def test_every_alert_is_explained_in_the_documents() -> None:
    document = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `(Gradcam\w+)` \|", document, re.M)
    assert told == [alert["alert"] for alert in alerts()]


def test_alerts_and_autoscaling_answer_to_series_of_numbers(tmp_path: Path) -> None:
    asked = [
        {"record": f"keda:{one['name'].replace('-', '_')}", "expr": one["metadata"]["query"]}
        for one in triggers()
    ]
    groups = [{"name": "gradcam", "rules": alerts()}, {"name": "keda", "rules": asked}]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
    shutil.copy(SERIES, tmp_path)
    done = subprocess.run(
        [promtool(), "test", "rules", SERIES.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # an alert that no series raises would be tested by nothing
    cases = yaml.safe_load(SERIES.read_text(encoding="utf-8"))["tests"]
    raised = {
        one["alertname"]
        for case in cases
        for one in case.get("alert_rule_test", ())
        if one.get("exp_alerts")
    }
    assert raised == {alert["alert"] for alert in alerts()}


def test_every_query_of_the_dashboard_is_promql(tmp_path: Path) -> None:
    rules = [
        {"record": f"query:{number}", "expr": query.replace("$__rate_interval", "1m")}
        for number, query in enumerate(ASKED.values())
    ]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
    command = [promtool(), "check", "rules", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
