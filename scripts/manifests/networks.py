"""Network policies: that every pod is shut in, and that what is open exists."""

from collections.abc import Iterator
from typing import Any

from manifests.resource import Finding, Pod, Resource, Resources, name_of, of_kind, pods_of, selects

_Check = Iterator[Finding]
_METRICS = "metrics"


def check_networks(resources: Resources) -> _Check:
    """What is wrong with the network policies."""
    policies = list(of_kind(resources, "NetworkPolicy"))
    for pod in pods_of(resources):
        for direction in ("Ingress", "Egress"):
            if not any(_governs(policy, pod, direction) for policy in policies):
                yield Finding(pod.owner, "", f"no NetworkPolicy governs its {direction.lower()}")
    for policy in policies:
        yield from _ports(policy, list(pods_of(resources)))


def _governs(policy: Resource, pod: Pod, direction: str) -> bool:
    spec = policy["spec"]
    return direction in (spec.get("policyTypes") or ()) and selects(
        spec.get("podSelector"), pod.labels
    )


def _ports(policy: Resource, pods: list[Pod]) -> _Check:
    known = {name for pod in pods for name in pod.ports}
    spec = policy["spec"]
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for number, rule in enumerate(spec.get(direction) or ()):
            place = f"spec.{direction}[{number}]"
            ports = [port.get("port") for port in rule.get("ports") or ()]
            if not ports or None in ports:
                yield Finding(name_of(policy), place, "opens every port")
            if not rule.get(peers):
                yield Finding(
                    name_of(policy), place, "opens to everybody, in the cluster and beyond"
                )
            for port in (port for port in ports if isinstance(port, str) and port not in known):
                yield Finding(name_of(policy), place, f"the pods have no port {port!r}")
            if _METRICS in ports and any(_is_everywhere(peer) for peer in rule.get(peers) or ()):
                yield Finding(name_of(policy), place, "shows the metrics to the whole cluster")


def _is_everywhere(peer: Any) -> bool:
    spaces = peer.get("namespaceSelector")
    return spaces is not None and not any(spaces.values()) and not peer.get("podSelector")
