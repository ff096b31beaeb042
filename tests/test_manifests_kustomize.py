"""Where the program that renders comes from."""

import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from manifests import kustomize
from manifests.kustomize import RenderError, fetch_kubectl, find_kustomize, render


def program(folder: Path, name: str) -> Path:
    file = folder / name
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    return file


def test_kustomize_is_preferred_to_kubectl_and_both_to_a_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    tools = tmp_path / "tools"
    tools.mkdir()
    fetched = program(tools, "kubectl")
    assert find_kustomize(tools) == [str(fetched), "kustomize"]
    kubectl = program(tmp_path, "kubectl")
    assert find_kustomize(tools) == [str(kubectl), "kustomize"]
    own = program(tmp_path, "kustomize")
    assert find_kustomize(tools) == [str(own), "build"]


def wheel() -> bytes:
    """A file of the form of the package that holds a kubectl."""
    layer = io.BytesIO()
    with zipfile.ZipFile(layer, "w") as files:
        files.writestr("kubectl/kubectl", "#!/bin/sh\necho it is kubectl\n")
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:gz") as files_:
        entry = tarfile.TarInfo("package/lib/layer.zip")
        entry.size = len(layer.getvalue())
        files_.addfile(entry, io.BytesIO(layer.getvalue()))
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as files:
        files.writestr("package/_jsii/layer.tgz", tar.getvalue())
    return whole.getvalue()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes packages from, and no other."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_a_kubectl_is_taken_out_of_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kustomize, "_PACKAGE", "holds-a-kubectl==1.0")
    monkeypatch.setattr(kustomize, "_SHA256", hashlib.sha256(wheel()).hexdigest())

    def download(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        folder = Path(command[command.index("--dest") + 1])
        (folder / "holds_a_kubectl-1.0-py3-none-any.whl").write_bytes(wheel())
        return subprocess.CompletedProcess(command, 0, "", "")

    with monkeypatch.context() as patched:
        patched.setattr("subprocess.run", download)
        fetch_kubectl(tmp_path / "tools" / "kubectl")
    done = subprocess.run(
        [tmp_path / "tools" / "kubectl"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "it is kubectl\n"
    monkeypatch.setattr(kustomize, "_SHA256", "0" * 64)
    monkeypatch.setattr("subprocess.run", download)
    with pytest.raises(RenderError, match="not the file that is expected"):
        fetch_kubectl(tmp_path / "other" / "kubectl")
    assert not (tmp_path / "other").exists()


@pytest.mark.usefixtures("index")
def test_a_package_that_cannot_be_had_is_an_error_that_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(RenderError, match="neither kustomize nor kubectl is on the path"):
        fetch_kubectl(tmp_path / "kubectl")


def test_what_kustomize_says_is_passed_on(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('it is not there')"]
    with pytest.raises(RenderError, match="it is not there"):
        render(command, tmp_path)
