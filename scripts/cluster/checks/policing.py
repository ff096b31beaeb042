"""Does the network policy keep others from the metrics, and the pods from everything?

That something cannot be reached means nothing by itself. So each answer is asked twice: the policy
must be what shuts it, and what the policy allows must be open.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from cluster import objects
from cluster.errors import TooSlow
from cluster.findings import Seen, judged, not_checked
from cluster.rendering import Json
from cluster.site import Site, name_of

_TRIED = "cluster-check-policy"
_KIND = ("networking.k8s.io/v1", "NetworkPolicy")
_SOON = 20.0  # seconds in which a network has taken a policy in
_OPEN = "open"

Address = tuple[str, int]


def policy(site: Site) -> Seen:
    """From the namespace of the check, which is not the monitoring's, and from the pods out."""
    policies = [one for one in site.documents if one["kind"] == "NetworkPolicy"]
    if not policies:
        return not_checked("the overlay has no NetworkPolicy")
    with _listener(site) as listener:
        if not _enforced(site, listener):
            return not_checked("this cluster's network enforces no NetworkPolicy")
        outwards = [
            site.run_in(name_of(pod), "reach", [listener])["reached"][0]
            for pod in site.ready_pods()
        ]
    metrics = [(str(pod["status"]["podIP"]), site.deployed.metrics) for pod in site.ready_pods()]
    inwards = _reached(site, metrics)
    allowed = [objects.let_in(one, site.namespace) for one in policies]
    with contextlib.ExitStack() as until:
        for one in allowed:
            until.enter_context(_applied(site, one))
        _soon(site, "metrics to be let in to", lambda: set(_reached(site, metrics)) == {_OPEN})
        as_allowed = _reached(site, metrics)
    return judge_policy(metrics, inwards, as_allowed, outwards)


def judge_policy(
    metrics: Sequence[Address],
    inwards: Sequence[str],
    as_allowed: Sequence[str],
    outwards: Sequence[str],
) -> Seen:
    """Of what was tried at each pod.

    Args:
        metrics: The pods' ports of metrics.
        inwards: How each was from another namespace than the monitoring's.
        as_allowed: The same, where the policy's own rule names that namespace.
        outwards: How a listening pod was from each pod.
    """
    hosts = [host for host, _ in metrics]
    wrong = [
        *_those(hosts, inwards, lambda how: how == _OPEN, "gives its metrics to others"),
        *_those(hosts, as_allowed, lambda how: how != _OPEN, "gives its metrics to nobody"),
        *_those(hosts, outwards, lambda how: how == _OPEN, "reaches another pod"),
    ]
    return judged(
        wrong,
        "the metrics port is shut to a pod outside of the monitoring's namespace, and open once "
        "the rule names that pod's; the pods do not reach another one",
    )


def _those(
    hosts: Sequence[str], how: Sequence[str], wrong: Callable[[str], bool], says: str
) -> list[str]:
    return [f"{host} {says}" for host, one in zip(hosts, how, strict=True) if wrong(one)]


@contextlib.contextmanager
def _listener(site: Site) -> Iterator[Address]:
    """A pod that anybody can reach."""
    site.cluster.create(objects.listener_pod(site.namespace, _TRIED, site.image))
    try:
        site.wait("listening pod", lambda: site.runs(_TRIED))
        pod = site.cluster.get("v1", "Pod", _TRIED, site.namespace)
        assert pod is not None
        address = (str(pod["status"]["podIP"]), 8000)
        site.wait("listening pod's port", lambda: _reached(site, [address]) == [_OPEN], 60)
        yield address
    finally:
        site.cluster.delete("v1", "Pod", _TRIED, site.namespace)


def _enforced(site: Site, listener: Address) -> bool:
    """Whether a policy that lets nobody in keeps anybody out here."""
    with _applied(site, objects.deny_all(site.namespace, _TRIED)):
        shut = _soon(site, "shut port", lambda: _reached(site, [listener]) != [_OPEN])
    if shut:
        site.wait("open port", lambda: _reached(site, [listener]) == [_OPEN], _SOON)
    return shut


@contextlib.contextmanager
def _applied(site: Site, document: Json) -> Iterator[None]:
    site.cluster.create(document)
    try:
        yield
    finally:
        site.cluster.delete(*_KIND, name_of(document), site.namespace)


def _soon(site: Site, what: str, done: Callable[[], bool]) -> bool:
    try:
        site.wait(what, done, _SOON)
    except TooSlow:
        return False
    return True


def _reached(site: Site, addresses: Sequence[Address]) -> list[Any]:
    return list(site.run_in_client("reach", addresses)["reached"])
