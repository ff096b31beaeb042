"""What every pod of ours must have, whatever the schemas allow."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from manifests.resource import Finding, Pod, Resources, pods_of

# Readiness is the door's. The others are asked past it, where clients that hold all of the door's
# connections are in nobody's way.
_AT_THE_DOOR = {"readinessProbe": "/ready"}
_INSIDE = {"startupProbe": "startup", "livenessProbe": "live"}
_STARTING = 10  # seconds for the Python of a probe to start, beside work, and ask
_STOPPING = 20  # seconds for TorchServe to stop after the drain
_HOST = ("hostNetwork", "hostPID", "hostIPC")
_TAGGED = re.compile(r"^[^\s@]+(:(?P<tag>[\w][\w.-]{0,127})|@sha256:[0-9a-f]{64})$")
_Check = Iterator[Finding]


def check_pods(resources: Resources) -> _Check:
    """What is wrong with the pods that the resources make."""
    for pod in pods_of(resources):
        yield from _pod_security(pod)
        yield from _grace(pod)
        for place, container in pod.containers:
            yield from _image(pod, place, container)
            yield from _limits(pod, place, container)
            yield from _container_security(pod, place, container)
            if ".containers[" in place:
                yield from _probes(pod, place, container)


def _probes(pod: Pod, place: str, container: Mapping[str, Any]) -> _Check:
    for name, path in _AT_THE_DOOR.items():
        asked = (container.get(name) or {}).get("httpGet") or {}
        if asked.get("path") != path:
            yield Finding(pod.owner, f"{place}.{name}", f"does not ask {path}, as it must")
        own = {port.get("name") for port in container.get("ports") or ()}
        if asked and asked.get("port") not in own:
            yield Finding(
                pod.owner, f"{place}.{name}", f"the container has no port {asked.get('port')!r}"
            )
    for name, question in _INSIDE.items():
        probe = container.get(name) or {}
        command = ["python", "-m", "container.health", question]
        if (probe.get("exec") or {}).get("command") != command:
            yield Finding(
                pod.owner, f"{place}.{name}", f"does not run {' '.join(command)}, as it must"
            )
        if probe.get("timeoutSeconds", 1) < _STARTING:
            yield Finding(
                pod.owner,
                f"{place}.{name}.timeoutSeconds",
                f"is less than the {_STARTING} s in which a busy container can surely answer",
            )


def _limits(pod: Pod, place: str, container: Mapping[str, Any]) -> _Check:
    resources = container.get("resources") or {}
    for part in ("requests", "limits"):
        for name in ("cpu", "memory"):
            if name not in (resources.get(part) or {}):
                yield Finding(pod.owner, f"{place}.resources.{part}", f"names no {name}")
    memory = {part: (resources.get(part) or {}).get("memory") for part in ("requests", "limits")}
    if memory["requests"] != memory["limits"]:
        yield Finding(
            pod.owner,
            f"{place}.resources",
            "more memory may be used than is requested, which a full node takes back by a kill",
        )


def _container_security(pod: Pod, place: str, container: Mapping[str, Any]) -> _Check:
    context = container.get("securityContext") or {}
    wrong = {
        "allowPrivilegeEscalation": context.get("allowPrivilegeEscalation") is not False,
        "readOnlyRootFilesystem": context.get("readOnlyRootFilesystem") is not True,
        "capabilities": context.get("capabilities") != {"drop": ["ALL"]},
        "privileged": bool(context.get("privileged")),
        "runAsNonRoot": context.get("runAsNonRoot", True) is not True,
        "runAsUser": context.get("runAsUser", 1) == 0,
        "seccompProfile": context.get("seccompProfile", _SECCOMP) != _SECCOMP,
    }
    for name in (name for name, is_wrong in wrong.items() if is_wrong):
        yield Finding(pod.owner, f"{place}.securityContext.{name}", "is not what it must be")


_SECCOMP = {"type": "RuntimeDefault"}


def _pod_security(pod: Pod) -> _Check:
    context = pod.spec.get("securityContext") or {}
    if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
        yield Finding(pod.owner, f"{pod.place}.securityContext", "may run as root")
    if context.get("seccompProfile") != _SECCOMP:
        yield Finding(pod.owner, f"{pod.place}.securityContext", "has no RuntimeDefault seccomp")
    if pod.spec.get("automountServiceAccountToken") is not False:
        yield Finding(pod.owner, pod.place, "mounts the token of its service account")
    if pod.spec.get("enableServiceLinks") is not False:
        # a Service named gradcam would set GRADCAM_PORT, which is of our variables' kind
        yield Finding(pod.owner, pod.place, "gets environment variables from Services")
    for name in _HOST:
        if pod.spec.get(name):
            yield Finding(pod.owner, f"{pod.place}.{name}", "shares the node's")
    for number, volume in enumerate(pod.spec.get("volumes") or ()):
        if "hostPath" in volume:
            yield Finding(pod.owner, f"{pod.place}.volumes[{number}]", "mounts the node's files")


def _image(pod: Pod, place: str, container: Mapping[str, Any]) -> _Check:
    image = str(container.get("image", ""))
    found = _TAGGED.match(image)
    if not found or found["tag"] == "latest":
        yield Finding(
            pod.owner, f"{place}.image", f"{image!r} has neither a digest nor a fixed tag"
        )


def _grace(pod: Pod) -> _Check:
    """The pod must be given as long as its drain may take."""
    needed = 0.0
    for _, container in pod.containers:
        told = {one.get("name"): one.get("value") for one in container.get("env") or ()}
        try:
            drain = [float(told[f"GRADCAM_DRAIN_{name}"]) for name in ("SECONDS", "LIMIT")]
        except (KeyError, TypeError, ValueError):
            continue
        needed = max(needed, sum(drain) + _STOPPING)
    given = pod.spec.get("terminationGracePeriodSeconds", 30)
    if not needed:
        yield Finding(pod.owner, pod.place, "no container says how long its drain takes")
    elif given < needed:
        yield Finding(
            pod.owner,
            f"{pod.place}.terminationGracePeriodSeconds",
            f"is {given}, and draining may take {needed:g} seconds",
        )
