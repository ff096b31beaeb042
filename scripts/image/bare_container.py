"""A container without a container engine: namespaces by unshare(1), where only buildah is there.

Enforced are: a mount namespace whose root is the image's file system, read-only; process, IPC, host
name and network namespaces of its own; the image's user, no capability, no new privilege. Not there
are cgroup limits, a seccomp filter, and a network that anybody else reaches. Needs root.
"""

import os
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from image.containers import WRITABLE, Ended, EngineError, Wanted, ask, image_config

_UNSHARE = ("unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child")
_DEVICES = ("null", "zero", "full", "random", "urandom")
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
}


class BareContainer:
    """The image's file system, mounted by buildah, with its entry point as process 1."""

    limits = (
        "no container engine: no cgroup limits, no seccomp filter, no published ports (the checks "
        "run in the container's network); namespaces, read-only root, user and capabilities are "
        "real"
    )

    def __init__(self, wanted: Wanted) -> None:
        """Starts it."""
        self._asked = 0.0
        config = image_config("buildah", wanted.image)
        self._directory = str(config.get("WorkingDir") or "/")
        self._user = wanted.user or str(config["User"])
        self._environment = [
            *_strings(config["Env"]),
            *(f"{name}={value}" for name, value in wanted.environment.items()),
        ]
        self._id = ask("buildah", "from", "--pull-never", wanted.image)
        root = Path(ask("buildah", "mount", self._id))
        # appended to, for nginx opens /dev/stdout anew; and the user's, as runtimes do it
        self._log = tempfile.NamedTemporaryFile("ab", prefix="image-check-", suffix=".log")  # noqa: SIM115
        uid = self._user.partition(":")[0]
        os.fchown(self._log.fileno(), int(uid), 0)
        inside = [*self._as_user(), *_strings(config["Entrypoint"]), *_strings(config.get("Cmd"))]
        script = _mounts(root, wanted.keys)
        script += f"cd /\nexec chroot {shlex.quote(str(root))} {shlex.join(inside)}\n"
        self._process = subprocess.Popen(
            [*_UNSHARE, "sh", "-euc", script],
            stdout=self._log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def url(self, port: int) -> str:
        """Of this network namespace, which is the container's."""
        return f"http://127.0.0.1:{port}"

    def run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Joins its namespaces."""
        enter = ["nsenter", "--target", str(self._first()), "--mount", "--pid", "--ipc", "--uts"]
        enter += ["--root", "--", *self._as_user(), *command]
        return subprocess.run(enter, capture_output=True, text=True, check=False)

    def running(self) -> bool:
        """Whether unshare still waits for process 1."""
        return self._process.poll() is None

    def logs(self) -> str:
        """Both streams."""
        return Path(self._log.name).read_text(encoding="utf-8", errors="replace")

    def terminate(self) -> None:
        """To process 1, from outside of its namespace."""
        self._asked = time.monotonic()
        subprocess.run(["kill", f"-{signal.SIGTERM.value}", str(self._first())], check=True)

    def wait(self, seconds: float) -> Ended:
        """Unshare ends with the same status."""
        try:
            code = self._process.wait(max(0.0, self._asked + seconds - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()  # and with it, by --kill-child, all of the namespace
            self._process.wait()
            code = 128 + signal.SIGKILL
        return Ended(time.monotonic() - self._asked, code)

    def remove(self) -> None:
        """Ends what still runs, and buildah's working container."""
        if self.running():
            self._process.kill()
            self._process.wait()
        self._log.close()
        ask("buildah", "umount", self._id)
        ask("buildah", "rm", self._id)

    def _first(self) -> int:
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if not children:
            raise EngineError(f"the container has ended: {self.logs()[-2000:]}")
        return int(children[0])

    def _as_user(self) -> list[str]:
        uid, _, gid = self._user.partition(":")
        command = ["/usr/bin/setpriv", f"--reuid={uid}", f"--regid={gid or 0}", "--clear-groups"]
        command += ["--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]
        command += ["/usr/bin/env", "-i", "-C", self._directory, *self._environment]
        return command


def _mounts(root: Path, keys: Path) -> str:
    """A shell script that lays out the file system in a mount namespace of its own."""
    quoted = shlex.quote(str(root))
    lines = [
        "mount --make-rprivate /",
        f"mount --bind {quoted} {quoted}",
        f"mount -t proc proc {quoted}/proc",
        f"mount -t sysfs -o ro,nosuid,nodev,noexec sysfs {quoted}/sys",
        f"mount -t tmpfs -o nosuid,noexec,mode=755,size=64k tmpfs {quoted}/dev",
        f"mkdir {quoted}/dev/shm",
    ]
    for name, target in _LINKS.items():
        lines.append(f"ln -s {target} {quoted}/dev/{name}")
    for device in _DEVICES:
        lines += [
            f"touch {quoted}/dev/{device}",
            f"mount --bind /dev/{device} {quoted}/dev/{device}",
        ]
    for folder, size in WRITABLE.items():
        options = f"nosuid,nodev,noexec,mode=1777,size={size}"  # docker's own, too, are noexec
        lines.append(f"mount -t tmpfs -o {options} tmpfs {quoted}{folder}")
    lines += [
        f"mount --bind {shlex.quote(str(keys))} {quoted}/etc/gradcam/keys",
        f"mount -o remount,bind,ro {quoted}/etc/gradcam/keys",
        f"mount -o remount,bind,ro,nosuid {quoted}",
    ]
    return "".join(f"{line}\n" for line in lines)


def _strings(values: Any) -> list[str]:
    return [str(value) for value in values or []]
