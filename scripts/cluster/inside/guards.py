"""What this container may do and use, as its kernel says."""

import contextlib
import os
from pathlib import Path
from typing import Any

_STATUS = ("CapEff", "CapBnd", "NoNewPrivs", "Seccomp")
_CGROUPS = {
    # version 2, then version 1
    "memory": ("memory.max", "memory/memory.limit_in_bytes"),
    "cpu": ("cpu.max", "cpu/cpu.cfs_quota_us", "cpu,cpuacct/cpu.cfs_quota_us"),
    "period": ("cpu/cpu.cfs_period_us", "cpu,cpuacct/cpu.cfs_period_us"),
}
_WRITTEN = ("/", "/opt", "/usr/local", "/etc")
_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


def main(_: list[str]) -> dict[str, Any]:
    """Returns the user, the root's mount, writable folders, privileges, limits, and any token."""
    return {
        "user": os.getuid(),
        # asked of the mount, for files of root's cannot be written by others anyway
        "read_only": bool(os.statvfs("/").f_flag & os.ST_RDONLY),
        "written": [folder for folder in _WRITTEN if _writable(Path(folder))],
        "scratch": _writable(Path("/tmp")),
        "status": _status(),
        "cgroup": {name: _first(files) for name, files in _CGROUPS.items()},
        "token": _TOKEN.exists(),
    }


def _writable(folder: Path) -> bool:
    probe = folder / f".check-{os.getpid()}"
    try:
        probe.write_bytes(b"x")
    except OSError:
        return False
    probe.unlink()
    return True


def _status() -> dict[str, str]:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    pairs = (line.partition(":") for line in lines)
    return {name: value.strip() for name, _, value in pairs if name in _STATUS}


def _first(files: tuple[str, ...]) -> str:
    for name in files:
        with contextlib.suppress(OSError):
            return (Path("/sys/fs/cgroup") / name).read_text(encoding="ascii").strip()
    return ""
