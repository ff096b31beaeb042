"""What is looked at from inside of a container. This file's text runs there, by ``python -c``.

Standard library only; prints one JSON object.
"""

import json
import os
import shutil
import stat
from pathlib import Path

_COMPILERS = (
    "cc",
    "gcc",
    "g++",
    "c++",
    "clang",
    "ld",
    "as",
    "make",
    "javac",
    "jlink",
    "cargo",
    "go",
)
_INSTALLERS = ("pip", "ensurepip", "easy_install", "uv", "conda")
_PLACES = ("/", "/opt/gradcam", "/opt/venv", "/model-store", "/etc/gradcam/keys")
_WRITABLE = ("/run/gradcam", "/tmp", "/dev/shm")
_OURS = ("/opt", "/model-store")
_UNREAL = {"/proc", "/sys", "/dev", "/run", "/tmp"}
_WEIGHTY = 10_000_000  # bytes from which a folder of packages is told by its name


def status_of(pid: str) -> dict[str, str]:
    """``/proc/<pid>/status``; empty for a process that has gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def processes() -> dict[str, list[str]]:
    """By name: user, group, capabilities that can be had, and whether privileges can be gained."""
    found = {}
    for entry in Path("/proc").iterdir():
        told = status_of(entry.name) if entry.name.isdigit() else {}
        if told and entry.name != str(os.getpid()):
            uid, gid = told["Uid"].split(), told["Gid"].split()
            caps = "|".join(told[key].lstrip("0") or "0" for key in ("CapEff", "CapPrm", "CapBnd"))
            found[f"{told['Name']} {entry.name}"] = [
                "/".join(sorted(set(uid))),
                "/".join(sorted(set(gid))),
                caps,
                told.get("NoNewPrivs", "?"),
            ]
    return found


def why_unwritable(folder: str) -> str:
    """The error of writing there; empty if it can be written to."""
    path = Path(folder) / ".written-by-a-check"
    try:
        path.write_text("")
    except OSError as error:
        return os.strerror(error.errno or 0)
    path.unlink()
    return ""


def writable_mounts(table: str) -> list[str]:
    """Where something is mounted to be written to, but for what the kernel and devices are seen by.

    Args:
        table: The text of ``/proc/self/mountinfo``.
    """
    found = set()
    for line in table.splitlines():
        point, options = line.split()[4:6]
        views = point.startswith(("/proc", "/sys", "/dev")) and point != "/dev/shm"
        if "rw" in options.split(",") and not views:
            found.add(point)
    return sorted(found)


def used(folder: str) -> int:
    """Bytes that the file system there holds."""
    told = os.statvfs(folder)
    return (told.f_blocks - told.f_bfree) * told.f_frsize


def memory(process: Path) -> int:
    """Bytes of a process, what it shares counted in parts; nothing for one that has gone."""
    try:
        text = (process / "smaps_rollup").read_text()
    except OSError:
        return 0
    return 1024 * sum(int(line.split()[1]) for line in text.splitlines() if line[:4] == "Pss:")


def listeners() -> list[str]:
    """``address:port`` of all that listens on TCP, in the kernel's hexadecimal for addresses."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if Path(table).exists():
            for line in Path(table).read_text().splitlines()[1:]:
                _, local, _, state = line.split()[:4]
                if state == "0A":
                    address, _, port = local.rpartition(":")
                    found.add(f"{address}:{int(port, 16)}")
    return sorted(found)


def files(root: str = "/") -> tuple[list[str], list[str], list[str], dict[str, int]]:
    """Walks the file system.

    Args:
        root: Another folder than the root, for tests.

    Returns:
        Files that change the user, files of ours that group 0 cannot read, folders of what installs
        packages for any Python, and bytes by part.
    """
    setuid: list[str] = []
    unreadable: list[str] = []
    installers: list[str] = []
    sizes: dict[str, int] = {}
    for top, folders, names in os.walk(root):
        folders[:] = [one for one in folders if f"/{one}" not in _UNREAL or top != root]
        inner = top[len(root.rstrip("/")) :].rstrip("/")
        ours = inner.startswith(_OURS)
        if "python" in inner:
            installers += [f"{inner}/{one}" for one in folders if one in _INSTALLERS]
        for name in names:
            path = os.path.join(top, name)  # noqa: PTH118 - thousands of them
            told = os.lstat(path)
            if stat.S_ISREG(told.st_mode):
                if told.st_mode & (stat.S_ISUID | stat.S_ISGID):
                    setuid.append(f"{inner}/{name}")
                if ours and not (told.st_gid == 0 and told.st_mode & stat.S_IRGRP):
                    unreadable.append(f"{inner}/{name}")
                part = part_of(f"{inner}/{name}")
                sizes[part] = sizes.get(part, 0) + told.st_size
    return setuid, unreadable, installers, sizes


def part_of(path: str) -> str:
    """What a file is counted under: a package, or a folder near the root."""
    pieces = path.split("/")
    if "site-packages" in pieces:
        place = pieces.index("site-packages") + 1
        return pieces[place] + (f"/{pieces[place + 1]}" if pieces[place] == "nvidia" else "")
    if path.startswith("/opt"):
        return "/".join(pieces[:3])
    return "/" + pieces[1]


def main() -> None:
    """Prints what there is."""
    setuid, unreadable, installers, sizes = files()
    told = {
        "processes": processes(),
        "unwritable": {place: why_unwritable(place) for place in _PLACES},
        "writable": {place: why_unwritable(place) for place in _WRITABLE},
        "mounts": [
            point
            for point in writable_mounts(Path("/proc/self/mountinfo").read_text())
            if os.access(point, os.W_OK)  # /etc/hosts and the like are root's
        ],
        "used": {place: used(place) for place in _WRITABLE if Path(place).exists()},
        "memory": sum(
            memory(one)
            for one in Path("/proc").iterdir()
            if one.name.isdigit() and one.name != str(os.getpid())
        ),
        "listeners": listeners(),
        "compilers": [name for name in _COMPILERS if shutil.which(name)],
        "installers": [*installers, *filter(shutil.which, _INSTALLERS)],
        "setuid": setuid,
        "unreadable": unreadable,
        "sizes": {part: size for part, size in sizes.items() if size >= _WEIGHTY},
        "rest": sum(size for size in sizes.values() if size < _WEIGHTY),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
