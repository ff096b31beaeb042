"""Alert rules: that somebody can be called by them, and knows why."""

from collections.abc import Iterator
from typing import Any

from manifests.resource import Finding, Resources, name_of, of_kind

_SEVERITIES = ("critical", "warning", "info")


def check_alerts(resources: Resources) -> Iterator[Finding]:
    """What is wrong with the alert rules."""
    for resource in of_kind(resources, "PrometheusRule"):
        groups = resource["spec"].get("groups") or ()
        rules = [(group, number, one) for group in groups for number, one in _rules(group)]
        if not rules:
            yield Finding(name_of(resource), "spec.groups", "there are no rules")
        for group, number, rule in rules:
            place = f"group {group['name']}, rule {number}"
            if bool(rule.get("alert")) == bool(rule.get("record")):
                yield Finding(name_of(resource), place, "is either an alert or a record")
            if not rule.get("alert"):
                continue
            if (rule.get("labels") or {}).get("severity") not in _SEVERITIES:
                known = ", ".join(_SEVERITIES)
                yield Finding(name_of(resource), place, f"has no severity (one of {known})")
            if not (rule.get("annotations") or {}).get("summary"):
                yield Finding(name_of(resource), place, "has no summary")


def _rules(group: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    yield from enumerate(group.get("rules") or ())
