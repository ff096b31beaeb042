"""Volumes and where they are mounted: a root that is read-only makes each of them matter."""

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from cluster.quantities import amount
from manifests.resource import Finding, Pod, Resources, of_kind, pods_of

_WRITTEN = ("/tmp", "/dev/shm")
_DISK = "ephemeral-storage"
_NAMED = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")
_Check = Iterator[Finding]


def check_mounts(resources: Resources) -> _Check:
    """What is wrong with the volumes of the pods that the resources make."""
    for pod in pods_of(resources):
        yield from _unused(pod)
        yield from _disk(pod)
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


def _disk(pod: Pod) -> _Check:
    """What emptyDirs hold counts as the containers', and beyond their limit the pod is evicted."""
    boxes = pod.spec.get("containers") or ()
    limits = [((box.get("resources") or {}).get("limits") or {}) for box in boxes]
    given = [amount(str(one[_DISK])) for one in limits if _DISK in one]
    folders = [volume.get("emptyDir") or {} for volume in pod.spec.get("volumes") or ()]
    held = sum(
        amount(str(folder["sizeLimit"]))
        for folder in folders
        if "sizeLimit" in folder and folder.get("medium") != "Memory"
    )
    if given and held > sum(given):
        yield Finding(
            pod.owner,
            f"{pod.place}.volumes",
            f"the emptyDirs may hold {held / 2**30:g} GiB together, and the containers' limits of "
            f"{_DISK} are {sum(given) / 2**30:g} GiB",
        )


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
    if told.get("GRADCAM_KEYS") != "off":
        yield from _keys(pod, place, told.get("GRADCAM_KEYS_FILE"), mounts)


def _keys(pod: Pod, place: str, told: str | None, mounts: Mapping[str, Any]) -> _Check:
    """Without a file of keys a container makes one of its own, so it must be there, or no start."""
    if not told:
        yield Finding(
            pod.owner, f"{place}.env", "GRADCAM_KEYS_FILE does not say that it needs keys"
        )
        return
    file = PurePosixPath(told)
    volumes = {volume["name"]: volume for volume in pod.spec.get("volumes") or ()}
    source = volumes.get(mounts.get(str(file.parent), {}).get("name"), {})
    if "secret" not in source:
        yield Finding(pod.owner, f"{place}.volumeMounts", f"no Secret with keys at {file.parent}")
        return
    secret = source["secret"]
    made = {item["path"] for item in secret.get("items") or ()}
    if file.name not in made or secret.get("optional"):
        yield Finding(
            pod.owner,
            f"{pod.place}.volumes",
            f"the pod would start without the item of the Secret that {file.name} is made of",
        )


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
