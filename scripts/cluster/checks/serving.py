"""Is it ready only when it can explain, and does it answer those with a key and nobody else?"""

import base64
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from cluster.findings import Seen, failed, judged, not_checked
from cluster.site import Site, is_ending, is_running, name_of

_PNG = b"\x89PNG\r\n\x1a\n"
_REFUSED = 401
_SUCCESSORS = 3  # pods that are watched where the first was ready too early


def canary(site: Site) -> Seen:
    """Watches a pod from its start on; then waits until all are ready."""
    pod = _starting(site)
    found = _watch(site, pod)
    for _ in range(_SUCCESSORS):
        if found["not_ready"]:
            break
        # too late for that one: it goes, and the one that comes for it is watched
        site.say(f"{pod} was ready before it could be watched; its successor is")
        before = [name_of(one) for one in site.serving_pods()]
        site.cluster.delete("v1", "Pod", pod, site.namespace)
        pod = _starting(site, but=before)
        found = _watch(site, pod)
    if found["canaries"] is not None:
        site.settle()
    return judge_canary(found, site.trouble() if found["canaries"] is None else "")


def judge_canary(found: Mapping[str, Any], trouble: str) -> Seen:
    """``found`` is what ``inside/readiness.py`` tells."""
    canaries, seconds = found["canaries"], found["seconds"]
    if canaries is None:
        return failed(f"never ready in {seconds:.0f} s, or without metrics that count; {trouble}")
    if found["not_ready"] == 0:
        return not_checked("the pod was ready before it could be watched")
    if canaries < 1:
        return failed("ready before any explanation was answered")
    return judged(
        [],
        f"not ready {found['not_ready']} times in {seconds:.1f} s of watching, then ready with "
        f"{canaries:.0f} explanation answered",
    )


def explained(site: Site) -> Seen:
    """A picture through the Service, with the key."""
    path = f"/explanations/{site.model}"
    headers = {**site.bearer, "Content-Type": "image/png"}
    asked: list[dict[str, Any]] = [
        {"path": path, "headers": headers, "picture": True},
        {"path": path, "headers": {**headers, "Accept": "image/png"}, "picture": True},
    ]
    return judge_explained(site.ask(asked))


def judge_explained(answers: Sequence[Mapping[str, Any]]) -> Seen:
    """A JSON document, then a PNG."""
    document, overlay = answers
    wrong = [
        f"{name} was answered with {answer['status']} {answer['kind']}: {answer['begins'][:200]}"
        for name, answer, kind in (
            ("an explanation", document, "application/json"),
            ("an overlay", overlay, "image/png"),
        )
        if answer["status"] != 200 or answer["kind"] != kind
    ]
    if not wrong and not base64.b64decode(overlay["begins"]).startswith(_PNG):
        wrong.append("the overlay is no PNG")
    return judged(
        wrong,
        f"200 with {document['bytes']} bytes of JSON, 200 with a PNG of {overlay['bytes']} bytes",
    )


def keyed(site: Site) -> Seen:
    """The same without a key, with a wrong one, and on a path that is not for clients."""
    path = f"/explanations/{site.model}"
    wrong = {"Authorization": f"Bearer {site.key[::-1]}"}
    asked: list[dict[str, Any]] = [
        {"path": path, "picture": True},
        {"path": path, "headers": wrong, "picture": True},
        {"path": "/models", "headers": site.bearer},
        {"path": f"/models/{site.model}?min_worker=0", "headers": site.bearer, "picture": True},
    ]
    return judge_keyed(site.ask(asked))


def judge_keyed(answers: Sequence[Mapping[str, Any]]) -> Seen:
    """401 twice, 404 twice, each with our JSON."""
    names = ("without a key", "with a wrong key", "management", "scaling a model")
    wrong = [
        f"{name}: {answer['status']} {answer['begins'][:120]}, not {status} in our JSON form"
        for name, answer, status in zip(names, answers, (_REFUSED, _REFUSED, 404, 404), strict=True)
        if answer["status"] != status or _code(answer["begins"]) != status
    ]
    return judged(wrong, "401 without a key and with a wrong one; 404 on management's paths")


def _code(text: str) -> int:
    try:
        return int(json.loads(text)["code"])
    except (ValueError, KeyError, TypeError):
        return 0


def _watch(site: Site, pod: str) -> dict[str, Any]:
    site.say(f"watching {pod}")
    ports = [site.deployed.door, site.deployed.metrics]
    found = site.run_in(pod, "readiness", ports, str(site.patience), seconds=site.patience + 60)
    return dict(found)


def _starting(site: Site, but: Collection[str] = ()) -> str:
    """Waits for a pod whose container runs, and that is none of these; the youngest if several."""
    site.wait("running container", lambda: bool(_running(site, but)))
    return _running(site, but)


def _running(site: Site, but: Collection[str]) -> str:
    pods = [
        pod
        for pod in site.serving_pods()
        if is_running(pod) and not is_ending(pod) and name_of(pod) not in but
    ]
    pods.sort(key=lambda pod: str(pod["status"].get("startTime", "")))
    return name_of(pods[-1]) if pods else ""
