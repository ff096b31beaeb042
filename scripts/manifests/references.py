"""Resources that name each other: whether what is named is there."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from manifests.resource import Finding, Pod, Resources, name_of, of_kind, pods_of, selects

FROM_THE_OPERATOR = frozenset({"gradcam-keys"})
"""Secrets that are not rendered, because they hold what no repository should."""

_Check = Iterator[Finding]


def check_references(resources: Resources) -> _Check:
    """What is named and not there, or there twice."""
    for twice, times in Counter(map(name_of, resources)).items():
        if times > 1:
            yield Finding(twice, "metadata.name", f"is there {times} times")
    pods = list(pods_of(resources))
    yield from _own_selectors(resources)
    yield from _services(resources, pods)
    yield from _selectors_of_pods(resources, pods)
    for pod in pods:
        yield from _spread(pod)
        yield from _volumes(pod, resources)
        yield from _environment(pod, resources)
        account = pod.spec.get("serviceAccountName", "default")
        if account != "default" and not _named(resources, "ServiceAccount", account):
            yield Finding(
                pod.owner,
                f"{pod.place}.serviceAccountName",
                f"there is no ServiceAccount {account}",
            )


def _own_selectors(resources: Resources) -> _Check:
    for resource in of_kind(resources, "Deployment", "StatefulSet", "DaemonSet"):
        spec = resource["spec"]
        labels = (spec["template"].get("metadata") or {}).get("labels") or {}
        if not selects(spec.get("selector"), labels):
            yield Finding(name_of(resource), "spec.selector", "does not select its own pods")


def _services(resources: Resources, pods: list[Pod]) -> _Check:
    for service in of_kind(resources, "Service"):
        spec = service["spec"]
        selector = spec.get("selector") or {}
        chosen = [
            pod for pod in pods if selector and selects({"matchLabels": selector}, pod.labels)
        ]
        if not chosen:
            yield Finding(name_of(service), "spec.selector", "selects no pod")
        for number, port in enumerate(spec.get("ports") or ()):
            target = port.get("targetPort", port.get("port"))
            if chosen and not any(_has_port(pod, target) for pod in chosen):
                place = f"spec.ports[{number}].targetPort"
                yield Finding(name_of(service), place, f"the pods have no port {target!r}")


def _has_port(pod: Pod, target: Any) -> bool:
    numbers = {
        port.get("containerPort")
        for _, container in pod.containers
        for port in container.get("ports") or ()
    }
    return target in pod.ports or target in numbers


def _selectors_of_pods(resources: Resources, pods: list[Pod]) -> _Check:
    for resource in of_kind(resources, "PodDisruptionBudget", "PodMonitor", "NetworkPolicy"):
        spec = resource["spec"]
        field = "podSelector" if resource["kind"] == "NetworkPolicy" else "selector"
        chosen = [pod for pod in pods if selects(spec.get(field), pod.labels)]
        if not chosen:
            yield Finding(name_of(resource), f"spec.{field}", "selects no pod")
        if resource["kind"] == "PodMonitor" and not spec.get("podMetricsEndpoints"):
            yield Finding(name_of(resource), "spec.podMetricsEndpoints", "nothing is read")
        for number, endpoint in enumerate(spec.get("podMetricsEndpoints") or ()):
            if chosen and not any(endpoint.get("port") in pod.ports for pod in chosen):
                place = f"spec.podMetricsEndpoints[{number}].port"
                yield Finding(
                    name_of(resource), place, f"the pods have no port {endpoint.get('port')!r}"
                )


def _spread(pod: Pod) -> _Check:
    for number, spread in enumerate(pod.spec.get("topologySpreadConstraints") or ()):
        if not selects(spread.get("labelSelector"), pod.labels):
            place = f"{pod.place}.topologySpreadConstraints[{number}].labelSelector"
            yield Finding(pod.owner, place, "does not select the pod itself")


def _volumes(pod: Pod, resources: Resources) -> _Check:
    for number, volume in enumerate(pod.spec.get("volumes") or ()):
        place = f"{pod.place}.volumes[{number}]"
        if "configMap" in volume:
            source = volume["configMap"]
            keys = [item.get("key") for item in source.get("items") or ()]
            yield from _config_map(pod, place, resources, source, keys)
        if "secret" in volume:
            source = volume["secret"]
            name = source.get("secretName")
            yield from _secret(pod, place, resources, name, bool(source.get("optional")))
        if "persistentVolumeClaim" in volume:
            claim = volume["persistentVolumeClaim"].get("claimName")
            if not _named(resources, "PersistentVolumeClaim", claim):
                yield Finding(pod.owner, place, f"there is no PersistentVolumeClaim {claim}")


def _environment(pod: Pod, resources: Resources) -> _Check:
    for place, container in pod.containers:
        sources = [*(container.get("envFrom") or ())]
        sources += [one["valueFrom"] for one in container.get("env") or () if "valueFrom" in one]
        for source in sources:
            for field in ("configMapRef", "configMapKeyRef"):
                if field in source:
                    keys = [source[field]["key"]] if "key" in source[field] else []
                    yield from _config_map(pod, f"{place}.{field}", resources, source[field], keys)
            for field in ("secretRef", "secretKeyRef"):
                if field in source:
                    told = source[field]
                    optional = bool(told.get("optional"))
                    where = f"{place}.{field}"
                    yield from _secret(pod, where, resources, told.get("name"), optional)


def _config_map(
    pod: Pod, place: str, resources: Resources, source: Mapping[str, Any], keys: list[Any]
) -> _Check:
    found = _named(resources, "ConfigMap", source.get("name"))
    if found is None:
        if not source.get("optional"):
            yield Finding(pod.owner, place, f"there is no ConfigMap {source.get('name')}")
        return
    for key in keys:
        if key not in {**(found.get("data") or {}), **(found.get("binaryData") or {})}:
            yield Finding(pod.owner, place, f"the ConfigMap {source.get('name')} has no {key}")


def _secret(pod: Pod, place: str, resources: Resources, name: Any, optional: bool) -> _Check:
    if optional or name in FROM_THE_OPERATOR or _named(resources, "Secret", name):
        return
    yield Finding(pod.owner, place, f"there is no Secret {name}, nor is it one the operator makes")


def _named(resources: Resources, kind: str, name: Any) -> Mapping[str, Any] | None:
    return next((one for one in of_kind(resources, kind) if one["metadata"]["name"] == name), None)
