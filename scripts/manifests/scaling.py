"""Autoscalers: that they scale what is there, on rates, and alone."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from manifests.resource import Finding, Resource, Resources, name_of, of_kind

_Check = Iterator[Finding]
# what KEDA's scaler of this type reads; anything else it ignores in silence
_PROMETHEUS = frozenset(
    {"serverAddress", "query", "queryParameters", "threshold", "activationThreshold", "namespace"}
    | {"customHeaders", "ignoreNullValues", "unsafeSsl", "awsRegion", "timeout", "identityOwner"}
    | {"authModes"}
)
_METRIC = re.compile(
    r"\b(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*(_total|_sum|_count|_bucket|_microseconds))\b"
    r"\s*(\{[^}]*\})?\s*(?P<window>\[)?"
)
_OF_RANGE = re.compile(r"\b(rate|irate|increase)\s*\(\s*$")
_NAMESPACE = re.compile(r'\bnamespace\s*=\s*"([^"]*)"')


def check_scaling(resources: Resources) -> _Check:
    """What is wrong with the autoscalers."""
    for scaler in of_kind(resources, "ScaledObject", "HorizontalPodAutoscaler"):
        yield from _target(scaler, resources)
        yield from _bounds(scaler)
    for scaler in of_kind(resources, "ScaledObject"):
        for number, trigger in enumerate(scaler["spec"].get("triggers") or ()):
            yield from _trigger(scaler, f"spec.triggers[{number}]", trigger)
    for service in of_kind(resources, "InferenceService"):
        metrics = (service["spec"]["predictor"].get("autoScaling") or {}).get("metrics") or ()
        for number, metric in enumerate(metrics):
            query = ((metric.get("external") or {}).get("metric") or {}).get("query", "")
            place = f"spec.predictor.autoScaling.metrics[{number}]"
            yield from _query(service, place, query)


def raw_counters(query: str) -> list[str]:
    """The counters in a PromQL query of which no rate is taken.

    A counter is known by its name: ``_total``, ``_sum``, ``_count``, ``_bucket``, and TorchServe's
    ``_microseconds``.
    """
    return [
        found["name"]
        for found in _METRIC.finditer(query)
        if not (found["window"] and _OF_RANGE.search(query[: found.start()]))
    ]


def _target(scaler: Resource, resources: Resources) -> _Check:
    target = scaler["spec"].get("scaleTargetRef") or {}
    kind, name = target.get("kind", "Deployment"), target.get("name")
    found = next((one for one in of_kind(resources, kind) if one["metadata"]["name"] == name), None)
    if found is None:
        yield Finding(name_of(scaler), "spec.scaleTargetRef", f"there is no {kind} {name}")
    elif "replicas" in found["spec"]:
        yield Finding(
            name_of(found), "spec.replicas", "every apply would undo what the autoscaler has set"
        )


def _bounds(scaler: Resource) -> _Check:
    spec = scaler["spec"]
    keda = scaler["kind"] == "ScaledObject"
    least = spec.get("minReplicaCount", 0) if keda else spec.get("minReplicas", 1)
    most = spec.get("maxReplicaCount", 100) if keda else spec["maxReplicas"]
    if least < 1:
        yield Finding(
            name_of(scaler), "spec", "scales to nothing, and counters of nothing say nothing"
        )
    if least > most:
        yield Finding(name_of(scaler), "spec", f"at least {least} replicas, and at most {most}")


def _trigger(scaler: Resource, place: str, trigger: Mapping[str, Any]) -> _Check:
    if trigger.get("type") != "prometheus":
        return
    metadata = trigger.get("metadata") or {}
    for name in sorted(set(metadata) - _PROMETHEUS):
        yield Finding(name_of(scaler), f"{place}.metadata", f"{name} is nothing that KEDA knows")
    for name in ("serverAddress", "query", "threshold"):
        if not metadata.get(name):
            yield Finding(name_of(scaler), f"{place}.metadata", f"has no {name}")
    try:
        positive = float(metadata.get("threshold", "1")) > 0
    except ValueError:
        positive = False
    if not positive:
        yield Finding(name_of(scaler), f"{place}.metadata.threshold", "is not a number above 0")
    if trigger.get("metricType", "AverageValue") not in ("AverageValue", "Value"):
        yield Finding(name_of(scaler), f"{place}.metricType", "is neither AverageValue nor Value")
    yield from _query(scaler, f"{place}.metadata.query", str(metadata.get("query", "")))


def _query(scaler: Resource, place: str, query: str) -> _Check:
    for name in raw_counters(query):
        yield Finding(
            name_of(scaler), place, f"{name} only grows; scale on its rate, or pods are never fewer"
        )
    asked = set(_NAMESPACE.findall(query))
    own = scaler["metadata"].get("namespace")
    if query and (len(asked) != 1 or own not in (None, *asked)):
        wrong = ", ".join(sorted(asked)) or "none"
        yield Finding(
            name_of(scaler), place, f"asks about namespace {wrong}, not just about {own or 'one'}"
        )
    for opening, closing in ("()", "{}", "[]"):
        if query.count(opening) != query.count(closing):
            yield Finding(name_of(scaler), place, f"a {opening} or {closing} too many")
