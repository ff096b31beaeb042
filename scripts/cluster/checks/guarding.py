"""Is what shall be shut really shut, and does the kernel hold the pod to its limits?"""

from collections.abc import Mapping, Sequence
from typing import Any

from cluster.deployed import SHUT_PORTS
from cluster.findings import Seen, failed, judged
from cluster.quantities import amount
from cluster.site import Site, name_of

_SECCOMP_FILTER = "2"


def management(site: Site) -> Seen:
    """Tries TorchServe's and the agent's ports of every pod and of the Service from another pod."""
    hosts = [str(pod["status"]["podIP"]) for pod in site.ready_pods()]
    service, port = site.service_address()
    doors = [(host, site.deployed.door) for host in hosts] + [(service, port)]
    shut = [(host, port) for host in [*hosts, service] for port in SHUT_PORTS]
    reached = site.run_in_client("reach", doors + shut)["reached"]
    return judge_management(doors, shut, reached)


def judge_management(
    doors: Sequence[tuple[str, int]], shut: Sequence[tuple[str, int]], reached: Sequence[str]
) -> Seen:
    """The doors must be open, or that others are not would mean nothing."""
    closed = [
        f"{host}:{port} ({how})"
        for (host, port), how in zip(doors, reached[: len(doors)], strict=True)
        if how != "open"
    ]
    if closed:
        return failed(f"not even the door can be reached: {', '.join(closed)}")
    kinds = reached[len(doors) :]
    wrong = [
        f"{host}:{port} takes connections"
        for (host, port), how in zip(shut, kinds, strict=True)
        if how == "open"
    ]
    how = ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))
    return judged(wrong, f"{len(doors)} doors are open, {len(shut)} other ports are not ({how})")


def guards(site: Site) -> Seen:
    """Reads in each pod what its kernel says."""
    wrong, seen = [], ""
    for pod in site.ready_pods():
        found = site.run_in(name_of(pod), "guards")
        wrong += [
            f"{name_of(pod)}: {one}"
            for one in judge_guards(found, site.deployed.user, site.deployed.limits)
        ]
        seen = (
            f"user {found['user']}, root read-only, no capability, no new privileges, seccomp "
            f"filter, no token; memory {found['cgroup']['memory']}, cpu {found['cgroup']['cpu']}"
        )
    return judged(wrong, seen)


def judge_guards(found: Mapping[str, Any], user: int, limits: Mapping[str, str]) -> list[str]:
    """What is not in force, of what ``inside/guards.py`` tells."""
    status, cgroup = found["status"], found["cgroup"]
    wrong = []
    if found["user"] != user or user == 0:
        wrong.append(f"the user is {found['user']}")
    if not found["read_only"]:
        wrong.append("the root is not mounted read-only")
    if found["written"]:
        wrong.append(f"these can be written to: {', '.join(found['written'])}")
    if not found["scratch"]:
        wrong.append("/tmp cannot be written to")
    for name in ("CapEff", "CapBnd"):
        if int(status.get(name, "1"), 16):
            wrong.append(f"capabilities are left ({name} {status.get(name)})")
    if status.get("NoNewPrivs") != "1":
        wrong.append("a process may gain privileges")
    if status.get("Seccomp") != _SECCOMP_FILTER:
        wrong.append("no seccomp filter is in force")
    if found["token"]:
        wrong.append("a service account's token is mounted")
    if "memory" in limits and cgroup["memory"] != str(int(amount(limits["memory"]))):
        wrong.append(f"the memory limit is {cgroup['memory'] or 'unknown'}, not {limits['memory']}")
    if "cpu" in limits and _cores(cgroup) != amount(limits["cpu"]):
        wrong.append(f"the CPU limit is {cgroup['cpu'] or 'unknown'}, not {limits['cpu']}")
    return wrong


def _cores(cgroup: Mapping[str, str]) -> float | None:
    """Of ``quota period`` (version 2) or of a file for each (version 1)."""
    quota, _, period = cgroup["cpu"].partition(" ")
    period = period or cgroup["period"]
    if not (quota.isdecimal() and period.isdecimal()):
        return None  # "max" or -1: none
    return int(quota) / int(period)
