"""Do pods come and go under load without losing a request, and does the budget hold?"""

import time

from cluster.accounts import told, wrong_with
from cluster.errors import ClusterError
from cluster.findings import Seen, judged, not_checked
from cluster.site import Site, name_of
from cluster.steady import steady_load

_AFTER = 5.0  # seconds of load on the new pods alone
_TOO_MANY = 429


def rolling_update(site: Site) -> Seen:
    """Changes an annotation of the pods, so that each of them is replaced, under load."""
    before = {name_of(pod) for pod in site.ready_pods()}
    stamp = {"metadata": {"annotations": {"gradcam.check/rolled": str(time.time())}}}
    with steady_load(site) as load:
        time.sleep(_AFTER)
        site.cluster.patch(
            *("apps/v1", "Deployment", site.deployed.name, site.namespace),
            {"spec": {"template": stamp}},
        )
        site.wait(
            "replacement of every pod",
            lambda: not before & {name_of(pod) for pod in site.serving_pods()},
        )
        seconds = site.settle()
        time.sleep(_AFTER)
    account = load.account
    wrong = wrong_with(account, _least(site))
    return judged(
        wrong, f"{len(before)} pods replaced; {told(account)}; settled in {seconds:.0f} s"
    )


def eviction(site: Site) -> Seen:
    """Evicts a pod as draining its node would, under load."""
    victim = name_of(site.ready_pods()[0])
    with steady_load(site) as load:
        time.sleep(_AFTER)
        site.say(f"evicting {victim}")
        site.pods.evict(victim)
        seconds = site.wait(
            "end of the evicted pod",
            lambda: victim not in {name_of(pod) for pod in site.serving_pods()},
        )
        site.settle()
        time.sleep(_AFTER)
    account = load.account
    wrong = wrong_with(account, _least(site))
    if seconds > site.deployed.grace:
        wrong.append(f"the pod took {seconds:.0f} s to end, more than its {site.deployed.grace} s")
    return judged(wrong, f"the pod was gone after {seconds:.0f} s; {told(account)}")


def budget(site: Site) -> Seen:
    """Evicts one pod, then asks for the next at once."""
    if not site.deployed.budget:
        return not_checked("the overlay has no PodDisruptionBudget")
    pods = [name_of(pod) for pod in site.ready_pods()]
    if len(pods) < 2:
        return not_checked("it takes two pods")
    site.pods.evict(pods[0])
    try:
        site.pods.evict(pods[1])
    except ClusterError as error:
        status, message = error.status, str(error)
    else:
        status, message = 201, "it was evicted"
    site.settle()
    return judge_budget(status, message)


def judge_budget(status: int, message: str) -> Seen:
    """Of the second eviction, which must wait for the first pod's successor."""
    wrong = [] if status == _TOO_MANY else [f"the second eviction: {status}, {message}"]
    return judged(wrong, f"a second eviction is answered with 429: {message}")


def _least(site: Site) -> int:
    return int(2 * _AFTER * site.rate)
