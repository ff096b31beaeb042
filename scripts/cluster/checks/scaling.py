"""Does the autoscaler add a replica under load?"""

from cluster import objects
from cluster.errors import ClusterError
from cluster.findings import Seen, judged, not_checked
from cluster.rendering import Json
from cluster.site import Site, name_of
from cluster.steady import steady_load

_HPA = ("autoscaling/v2", "HorizontalPodAutoscaler")
_TIMES = 4.0  # the steady load's rate
_PERCENT = 30  # of the CPU that is requested, which that load exceeds


def autoscaler(site: Site) -> Seen:
    """Uses the deployment's own autoscaler, or a plain one on CPU where the cluster measures it."""
    own = [one for one in site.cluster.list(*_HPA, site.namespace) if _scales(one, site)]
    if not own and not _measured(site):
        return not_checked("no metrics: the cluster serves no metrics.k8s.io for these pods")
    before = site.deployed.replicas
    if not own:
        site.cluster.create(
            objects.autoscaler(site.namespace, site.deployed.name, before, before + 1, _PERCENT)
        )
    try:
        with steady_load(site, site.rate * _TIMES) as load:
            seconds = site.wait("further replica", lambda: _wanted(site) > before)
        answered = load.account.answered
    finally:
        if not own:
            site.cluster.delete(*_HPA, "cluster-check", site.namespace)
            change = {"spec": {"replicas": before}}
            site.cluster.patch("apps/v1", "Deployment", site.deployed.name, site.namespace, change)
    which = f"its own autoscaler {name_of(own[0])}" if own else f"{_PERCENT} % of requested CPU"
    return judged(
        [],
        f"a replica more than {before} after {seconds:.0f} s ({which}; {answered} explanations)",
    )


def _scales(autoscaler: Json, site: Site) -> bool:
    target = autoscaler["spec"]["scaleTargetRef"]
    return bool(target["kind"] == "Deployment" and target["name"] == site.deployed.name)


def _measured(site: Site) -> bool:
    try:
        measured = site.cluster.list(
            "metrics.k8s.io/v1beta1", "PodMetrics", site.namespace, site.deployed.selector
        )
    except ClusterError:
        return False
    return bool(measured)


def _wanted(site: Site) -> int:
    deployment = site.cluster.get("apps/v1", "Deployment", site.deployed.name, site.namespace)
    assert deployment is not None
    return int(deployment["spec"]["replicas"])
