"""Does the autoscaler add a replica under load, and not without?"""

import time
from collections.abc import Iterable

from cluster import objects
from cluster.accounts import Account, told
from cluster.errors import ClusterError, TooSlow
from cluster.findings import Seen, failed, not_checked, passed
from cluster.quantities import amount
from cluster.rendering import Json
from cluster.site import Site, is_ending, is_ready, name_of
from cluster.steady import steady_load

_HPA = ("autoscaling/v2", "HorizontalPodAutoscaler")
_QUEUE_FULL = 503
_TIMES = 4.0  # the steady load's rate
_QUIET = 40.0  # seconds: two looks of an autoscaler, at its usual 15 s, and then some
_LEAST = 0.1  # cores; what a pod does of itself stays below
_MEASURED = 120.0  # seconds: pods are measured some time after their start


def autoscaler(site: Site) -> Seen:
    """Uses the deployment's own autoscaler, or a plain one on CPU where the cluster measures it."""
    own = [one for one in site.cluster.list(*_HPA, site.namespace) if _scales(one, site)]
    if own:
        return _under_load(site, f"its own autoscaler {name_of(own[0])}")
    if not site.cluster.serves("metrics.k8s.io/v1beta1", "PodMetrics"):
        return not_checked("no metrics: the cluster serves no metrics.k8s.io")
    before = site.deployed.replicas
    try:
        site.wait("measured pods", lambda: len(_used(site)) >= before, _MEASURED)
    except TooSlow:
        return not_checked("no metrics: metrics.k8s.io does not measure these pods")
    cores = threshold(_used(site).values())
    site.cluster.create(
        objects.autoscaler(site.namespace, site.deployed.name, before, before + 1, cores)
    )
    try:
        return _under_load(site, f"a plain autoscaler at {1000 * cores:.0f} m CPU a pod")
    finally:
        site.cluster.delete(*_HPA, objects.AUTOSCALER, site.namespace)
        change = {"spec": {"replicas": before}}
        site.cluster.patch("apps/v1", "Deployment", site.deployed.name, site.namespace, change)


def threshold(idle: Iterable[float]) -> float:
    """Cores a pod that no idle pod reaches: twice what they use now, and not next to nothing."""
    return max(_LEAST, 2 * max(idle, default=0.0))


def judge_scaling(which: str, before: int, wanted: float, ready: float, account: Account) -> Seen:
    """A further replica; the load may be more than the first ones can answer, who refuse it then.

    Args:
        which: Autoscaler it was.
        before: Replicas, with which it was content while there was no load.
        wanted: Seconds of load until it wanted a further one.
        ready: Seconds from then until that was ready.
        account: Of the load.
    """
    if not account.answered:
        return failed("none of the load was answered")
    lost = [status for status in account.statuses if status not in (200, _QUEUE_FULL)]
    if lost:
        return failed(f"{told(account)}; others got {', '.join(map(str, lost))} (0: no answer)")
    return passed(
        f"{before} replicas without load; a further one wanted after {wanted:.0f} s of load, ready "
        f"{ready:.0f} s later ({which}); {told(account)}"
    )


def _under_load(site: Site, which: str) -> Seen:
    site.settle()
    before = site.deployed.replicas
    site.say(f"{which}: {_QUIET:.0f} s without load")
    time.sleep(_QUIET)
    quiet = _wanted(site)
    if quiet > before:  # then a further one would say nothing about the load
        return not_checked(f"{which} went from {before} to {quiet} replicas without any load")
    with steady_load(site, site.rate * _TIMES) as load:
        wanted = site.wait("further replica", lambda: _wanted(site) > before)
    ready = site.wait("it to be ready", lambda: _ready(site) > before)
    return judge_scaling(which, before, wanted, ready, load.account)


def _scales(autoscaler: Json, site: Site) -> bool:
    target = autoscaler["spec"]["scaleTargetRef"]
    return bool(target["kind"] == "Deployment" and target["name"] == site.deployed.name)


def _used(site: Site) -> dict[str, float]:
    """Cores by pod, of those that are measured."""
    try:
        measured = site.cluster.list(
            "metrics.k8s.io/v1beta1", "PodMetrics", site.namespace, site.deployed.selector
        )
    except ClusterError:
        return {}
    return {
        name_of(one): sum(amount(container["usage"]["cpu"]) for container in one["containers"])
        for one in measured
    }


def _ready(site: Site) -> int:
    return sum(is_ready(pod) and not is_ending(pod) for pod in site.serving_pods())


def _wanted(site: Site) -> int:
    deployment = site.cluster.get("apps/v1", "Deployment", site.deployed.name, site.namespace)
    assert deployment is not None
    return int(deployment["spec"]["replicas"])
