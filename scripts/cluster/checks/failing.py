"""Is a dead worker noticed, and does it come back without a restart of its pod?"""

from collections.abc import Mapping
from typing import Any

from cluster.findings import Seen, judged
from cluster.site import Site, name_of, restarts


def worker_killed(site: Site) -> Seen:
    """Kills the process that holds the model in one pod, then asks that pod for an explanation."""
    pod = site.ready_pods()[0]
    name = name_of(pod)
    site.say(f"killing a worker in {name}")
    found = site.run_in(
        name, "workers", str(site.deployed.door), str(site.patience), seconds=site.patience + 60
    )
    site.settle()
    asked = {
        "host": pod["status"]["podIP"],
        "port": site.deployed.door,
        "path": f"/explanations/{site.model}",
        "headers": {**site.bearer, "Content-Type": "image/png"},
        "picture": True,
    }
    status = site.ask([asked])[0]["status"]
    now = site.cluster.get("v1", "Pod", name, site.namespace)
    return judge_worker(found, status, restarts(now) - restarts(pod) if now else None)


def judge_worker(found: Mapping[str, Any], status: int, restarted: int | None) -> Seen:
    """``found`` is what ``inside/workers.py`` tells; ``restarted`` is of the container.

    Args:
        found: Seconds until each thing was seen.
        status: Of an explanation by that pod afterwards.
        restarted: How often its container was restarted; ``None`` if the pod is gone.
    """
    if found["killed"] is None:
        return judged(["there is no worker process in the pod"], "")
    wrong = []
    if found["noticed"] is None:
        wrong.append("readiness never said that a worker was gone")
    if found["replaced"] is None:
        wrong.append("no new worker came")
    elif found["back"] is None:
        wrong.append("a new worker came, but the pod was not ready again")
    if restarted is None:
        wrong.append("the pod is gone")
    elif restarted:
        wrong.append(f"the container was restarted {restarted} times")
    if status != 200:
        wrong.append(f"an explanation afterwards was answered with {status or 'nothing'}")
    if wrong:
        return judged(wrong, "")
    return judged(
        [],
        f"not ready after {found['noticed']:.1f} s, a new worker after {found['replaced']:.1f} s, "
        f"ready again after {found['back']:.1f} s; it explains, and no container was restarted",
    )
