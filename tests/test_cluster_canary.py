"""A pod that was ready before it could be watched goes; the one that comes for it is watched."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cluster.checks.serving import canary
from cluster.deployed import Deployed
from cluster.findings import Verdict
from cluster.site import Site

DEPLOYED = Deployed(
    name="gradcam",
    selector={"app": "gradcam"},
    replicas=2,
    container="gradcam",
    door=8000,
    metrics=8002,
    service="gradcam",
    service_port=80,
    keys_secret=("gradcam-keys", "keys"),
    limits={},
    user=10001,
    grace=180,
    budget="",
)
LATE = {"not_ready": 0, "canaries": 1.0, "seconds": 0.1}
IN_TIME = {"not_ready": 30, "canaries": 1.0, "seconds": 5.0}


@dataclass
class PretendedCluster:
    """Two pods, of which the younger has no container yet while the older begins to be watched.

    A pod that is deleted is followed by another, as a ReplicaSet does it.
    """

    found: Mapping[str, Mapping[str, Any]]
    running: list[str] = field(default_factory=lambda: ["one"])
    watched: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=lambda: ["two", "three", "four", "five", "six"])

    def list(self, *_: Any) -> list[dict[str, Any]]:
        return [
            {
                "metadata": {"name": name},
                "status": {
                    "startTime": f"10:00:0{second}",
                    "containerStatuses": [{"state": {"running": {}}, "restartCount": 0}],
                    "conditions": [{"type": "Ready", "status": "True"}],
                },
            }
            for second, name in enumerate(self.running)
        ]

    def delete(self, _version: str, _kind: str, name: str, _namespace: str) -> None:
        self.deleted.append(name)
        self.running.remove(name)
        self.running.append(self.names.pop(0))

    def run(self, pod: str, *_: Any) -> Mapping[str, Any]:
        self.watched.append(pod)
        if "two" in self.names:
            self.running.append(self.names.pop(0))
        return self.found.get(pod, LATE)


def site(cluster: Any, documents: Sequence[Any] = ()) -> Site:
    """Deployed, with one key."""
    return Site(
        cluster=cluster,
        pods=cluster,
        documents=documents,
        deployed=DEPLOYED,
        namespace="here",
        image="",
        key="",
        model="demo",
        patience=5.0,
        rate=4.0,
        say=lambda _: None,
    )


def test_a_pod_that_is_seen_starting_is_enough() -> None:
    cluster = PretendedCluster({"one": IN_TIME})
    assert canary(site(cluster)).verdict is Verdict.PASSED
    assert (cluster.watched, cluster.deleted) == (["one"], [])


def test_the_successor_of_a_pod_that_was_ready_is_watched_not_a_neighbour() -> None:
    cluster = PretendedCluster({"three": IN_TIME})
    assert canary(site(cluster)).verdict is Verdict.PASSED
    assert (cluster.watched, cluster.deleted) == (["one", "three"], ["one"])


def test_a_slow_machine_gets_further_successors() -> None:
    cluster = PretendedCluster({"five": IN_TIME})
    assert canary(site(cluster)).verdict is Verdict.PASSED
    assert cluster.watched == ["one", "three", "four", "five"]


def test_pods_that_are_always_ready_at_once_are_never_a_success() -> None:
    cluster = PretendedCluster({})
    seen = canary(site(cluster))
    assert seen.verdict is Verdict.NOT_CHECKED
    assert cluster.watched == ["one", "three", "four", "five"]
