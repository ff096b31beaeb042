"""All checks in their order, and how they are run one after the other."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from cluster.checks.acceptance import accepted, pod_standard
from cluster.checks.failing import worker_killed
from cluster.checks.guarding import guards, management
from cluster.checks.moving import budget, eviction, rolling_update
from cluster.checks.policing import policy
from cluster.checks.scaling import autoscaler
from cluster.checks.serving import canary, explained, keyed
from cluster.errors import ClusterError, TooSlow
from cluster.findings import Finding, Seen, Verdict, failed, not_checked
from cluster.site import Site

OVERLAYS = "every-overlay"
ACCEPTED = "accepted"


class Needs(IntEnum):
    """What must be there for a check."""

    API = 0
    OBJECTS = 1
    NODE = 2
    READY = 3


@dataclass(frozen=True)
class Check:
    """One line of the table to be.

    Attributes:
        name: As ``--only`` knows it.
        expected: In a few words.
        needs: What must be there.
        look: Looks and judges.
    """

    name: str
    expected: str
    needs: Needs
    look: Callable[[Site], Seen]


CHECKS = (
    Check(
        ACCEPTED,
        "the API server takes every object, knowing each of its fields",
        Needs.API,
        accepted,
    ),
    Check(
        "pod-standard",
        "the pods comply with the standard 'restricted'",
        Needs.OBJECTS,
        pod_standard,
    ),
    Check(
        "ready-after-canary",
        "no pod is ready before it has explained a picture",
        Needs.NODE,
        canary,
    ),
    Check("explains", "the Service answers an explanation with the key", Needs.READY, explained),
    Check("refuses", "401 without a good key, 404 for anything else", Needs.READY, keyed),
    Check(
        "worker-killed",
        "a dead worker is noticed and comes back without a restart",
        Needs.READY,
        worker_killed,
    ),
    Check("rolling-update", "replacing every pod loses no request", Needs.READY, rolling_update),
    Check("eviction", "draining a pod loses no request", Needs.READY, eviction),
    Check("budget", "a second pod is not evicted before the first is back", Needs.READY, budget),
    Check(
        "management-shut",
        "only the door's port can be reached, at pods and Service",
        Needs.READY,
        management,
    ),
    Check(
        "network-policy",
        "metrics are for the monitoring alone, and pods reach nothing",
        Needs.READY,
        policy,
    ),
    Check(
        "guards",
        "non-root, read-only root, no capability, limits: in force",
        Needs.READY,
        guards,
    ),
    Check("autoscaler", "load brings a further replica", Needs.READY, autoscaler),
)
"""All but :data:`OVERLAYS`, which needs the folder of them."""


def overlays_check(look: Callable[[Site], Seen]) -> Check:
    """The check of all overlays, which makes nothing."""
    return Check(OVERLAYS, "the API server takes every overlay's objects", Needs.API, look)


def wanted(only: Sequence[str], all_overlays: Callable[[Site], Seen]) -> list[Check]:
    """The checks to run: the named ones, and that which deploys, for the others need it.

    The overlays come last of those that need no pod; the pods start in the meantime only if the
    watching of their start does not wait for it, so they come first of all.
    """
    checks = [overlays_check(all_overlays), *CHECKS]
    return [one for one in checks if not only or one.name in only or one.name == ACCEPTED]


def run_all(site: Site, checks: Sequence[Check], nodes: int) -> Iterator[Finding]:
    """Runs the checks, one finding for each; a check that cannot be run is never counted as passed.

    Args:
        site: Where.
        checks: In their order.
        nodes: How many nodes are ready.
    """
    objects_there = deployed_well = True
    for check in checks:
        site.say(f"== {check.name}: {check.expected}")
        start = time.monotonic()
        if check.needs >= Needs.OBJECTS and not objects_there:
            seen = not_checked("the objects were not accepted")
        elif check.needs >= Needs.NODE and not nodes:
            seen = not_checked("no node is ready")
        elif check.needs >= Needs.READY and not _settled(site, patient=deployed_well):
            deployed_well = False
            seen = not_checked(f"the deployment is not ready: {site.trouble()}")
        else:
            seen = look(check, site)
        if check.name == ACCEPTED:
            objects_there = seen.verdict is Verdict.PASSED
        finding = Finding(
            check.name, check.expected, seen.verdict, seen.text, round(time.monotonic() - start, 1)
        )
        site.say(f"   {finding.verdict}: {finding.seen}")
        yield finding


def look(check: Check, site: Site) -> Seen:
    """What a check sees; the API's refusals and what never comes make it fail."""
    try:
        return check.look(site)
    except (ClusterError, TooSlow) as error:
        return failed(str(error))


def _settled(site: Site, patient: bool) -> bool:
    """Whether all pods are ready; once they were not, nothing is waited for any more."""
    try:
        site.settle(None if patient else 1.0)
    except (ClusterError, TooSlow):
        return False
    return True
