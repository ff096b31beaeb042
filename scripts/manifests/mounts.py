"""Volumes and where they are mounted: a root that is read-only makes each of them matter."""

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from manifests.resource import Finding, Pod, Resources, of_kind, pods_of

_WRITTEN = ("/tmp", "/dev/shm")
_NAMED = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")
_Check = Iterator[Finding]


def check_mounts(resources: Resources) -> _Check:
    """What is wrong with the volumes of the pods that the resources make."""
    for pod in pods_of(resources):
        yield from _unused(pod)
        for place, container in pod.containers:
            yield from _unknown(pod, place, container)
            yield from _needed(pod, place, container)
            yield from _files(pod, place, container, resources)
            yield from _expanded(pod, place, container, resources)


def _unused(pod: Pod) -> _Check:
    used = {
        mount["name"]
        for _, container in pod.containers
        for mount in container.get("volumeMounts") or ()
    }
    for number, volume in enumerate(pod.spec.get("volumes") or ()):
        if volume["name"] not in used:
            yield Finding(pod.owner, f"{pod.place}.volumes[{number}]", "is mounted nowhere")


def _unknown(pod: Pod, place: str, container: Mapping[str, Any]) -> _Check:
    volumes = {volume["name"] for volume in pod.spec.get("volumes") or ()}
    for mount in container.get("volumeMounts") or ():
        if mount["name"] not in volumes:
            yield Finding(
                pod.owner, f"{place}.volumeMounts", f"there is no volume {mount['name']!r}"
            )


def _needed(pod: Pod, place: str, container: Mapping[str, Any]) -> _Check:
    """The folders that a server writes, and the file with its keys."""
    told = _environment(container)
    if "GRADCAM_RUN_DIR" not in told:
        return
    mounts = {mount["mountPath"]: mount for mount in container.get("volumeMounts") or ()}
    for folder in (told["GRADCAM_RUN_DIR"], *_WRITTEN):
        if folder not in mounts or mounts[folder].get("readOnly"):
            yield Finding(pod.owner, f"{place}.volumeMounts", f"nothing to write at {folder}")
    keys = str(PurePosixPath(told.get("GRADCAM_KEYS_FILE", "/etc/gradcam/keys/keys")).parent)
    volumes = {volume["name"]: volume for volume in pod.spec.get("volumes") or ()}
    source = volumes.get(mounts.get(keys, {}).get("name"), {})
    if told.get("GRADCAM_KEYS") != "off" and "secret" not in source:
        yield Finding(pod.owner, f"{place}.volumeMounts", f"no Secret with keys at {keys}")


def _files(pod: Pod, place: str, container: Mapping[str, Any], resources: Resources) -> _Check:
    """Files that a container is told of, in a folder that a ConfigMap is mounted at."""
    data = {
        one["metadata"]["name"]: one.get("data") or {} for one in of_kind(resources, "ConfigMap")
    }
    maps = {
        volume["name"]: data.get(volume["configMap"]["name"])
        for volume in pod.spec.get("volumes") or ()
        if "configMap" in volume
    }
    told = [*_environment(container).values(), *_words(container)]
    for mount in container.get("volumeMounts") or ():
        keys = maps.get(mount["name"])
        folder = f"{mount['mountPath']}/"
        for path in (one for one in told if one.startswith(folder)):
            if keys is not None and path.removeprefix(folder) not in keys:
                yield Finding(pod.owner, place, f"no key of a ConfigMap makes the file {path}")


def _expanded(pod: Pod, place: str, container: Mapping[str, Any], resources: Resources) -> _Check:
    """``$(NAME)`` in a command, which stays as it is where there is no such variable."""
    known = set(_environment(container))
    maps = {
        one["metadata"]["name"]: one.get("data") or {} for one in of_kind(resources, "ConfigMap")
    }
    for source in container.get("envFrom") or ():
        known |= set(maps.get((source.get("configMapRef") or {}).get("name"), ()))
    for name in (name for word in _words(container) for name in _NAMED.findall(word)):
        if name not in known:
            yield Finding(pod.owner, f"{place}.command", f"there is no variable {name}")


def _environment(container: Mapping[str, Any]) -> dict[str, str]:
    return {one["name"]: str(one.get("value", "")) for one in container.get("env") or ()}


def _words(container: Mapping[str, Any]) -> list[str]:
    return [*map(str, container.get("command") or ()), *map(str, container.get("args") or ())]
