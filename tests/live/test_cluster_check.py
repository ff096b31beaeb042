"""The cluster check against a real cluster, where ``GRADCAM_TEST_KUBECONFIG`` names one.

A bare API server with its controller manager is enough for all but the last two, which need a ready
node that can run ``GRADCAM_TEST_IMAGE``.
"""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from live.environments import python_with
from repository import ROOT

pytestmark = pytest.mark.live

SCRIPT = ROOT / "scripts" / "cluster_check.py"


@pytest.fixture(scope="module")
def kubeconfig() -> str:
    path = os.environ.get("GRADCAM_TEST_KUBECONFIG", "")
    if not path:
        pytest.skip("an extra: GRADCAM_TEST_KUBECONFIG names no cluster to deploy on")
    return path


@pytest.fixture(scope="module")
def image() -> str:
    name = os.environ.get("GRADCAM_TEST_IMAGE", "")
    if not name:
        pytest.skip("an extra: GRADCAM_TEST_IMAGE names no image that the cluster can run")
    return name


class Check:
    """Runs of the command, each with what it printed and wrote."""

    def __init__(self, kubeconfig: str, folder: Path) -> None:
        self._report = folder / "report.json"
        self._command = [
            *(str(python_with("cluster")), str(SCRIPT)),
            *("--kubeconfig", kubeconfig, "--json", str(self._report)),
        ]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._command, *arguments], capture_output=True, text=True, check=False, timeout=3600
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self._command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    @property
    def findings(self) -> dict[str, dict[str, Any]]:
        document = json.loads(self._report.read_text(encoding="utf-8"))
        return {finding["name"]: finding for finding in document["findings"]}


@pytest.fixture
def check(kubeconfig: str, tmp_path: Path) -> Check:
    return Check(kubeconfig, tmp_path)


def test_the_server_takes_every_object(check: Check) -> None:
    done = check.run("--image", "torchserve-gradcam:none", "--only", "pod-standard")

    assert done.returncode == 0, done.stdout + done.stderr
    assert {name: one["verdict"] for name, one in check.findings.items()} == {
        "accepted": "passed",
        "pod-standard": "passed",
    }
    assert "removed namespace" in done.stderr


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("deployment.yaml", "periodSeconds: 5", "periodSecond: 5", "periodSecond"),
        ("service.yaml", "port: 80", "port: 80000", "between 1 and 65535"),
        ("deployment.yaml", "runAsUser: 10001", "runAsUser: -1", "runAsUser"),
    ],
)
def test_the_server_refuses_a_mistake(
    check: Check, tmp_path: Path, file: str, old: str, new: str, said: str
) -> None:
    copy = tmp_path / "kubernetes"
    shutil.copytree(ROOT / "kubernetes", copy)
    manifest = copy / "base" / file
    text = manifest.read_text(encoding="utf-8")
    assert old in text
    manifest.write_text(text.replace(old, new), encoding="utf-8")

    done = check.run(
        *("--image", "torchserve-gradcam:none", "--only", "pod-standard"),
        *("--overlay", str(copy / "overlays" / "cpu")),
    )

    assert done.returncode == 1
    assert check.findings["accepted"]["verdict"] == "FAILED"
    assert said in check.findings["accepted"]["seen"]
    assert check.findings["pod-standard"]["verdict"] == "not checked"
    assert "removed namespace" in done.stderr


def test_a_pod_that_may_do_too_much_is_refused(check: Check, tmp_path: Path) -> None:
    copy = tmp_path / "kubernetes"
    shutil.copytree(ROOT / "kubernetes", copy)
    manifest = copy / "base" / "deployment.yaml"
    text = manifest.read_text(encoding="utf-8")
    dropped = text.replace("allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true")
    manifest.write_text(dropped, encoding="utf-8")

    done = check.run(
        *("--image", "torchserve-gradcam:none", "--only", "pod-standard"),
        *("--overlay", str(copy / "overlays" / "cpu")),
    )

    assert done.returncode == 1
    assert check.findings["pod-standard"]["verdict"] == "FAILED"
    assert "allowPrivilegeEscalation" in check.findings["pod-standard"]["seen"]


def test_ctrl_c_takes_everything_down(check: Check) -> None:
    running = check.start("--image", "torchserve-gradcam:none", "--only", "every-overlay")
    assert running.stderr
    for line in running.stderr:
        if "made namespace" in line:
            break
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=300)

    assert running.returncode == 130
    assert "stopped" in told
    assert "removed namespace" in told


def test_a_namespace_that_exists_is_left_alone(check: Check) -> None:
    done = check.run("--image", "torchserve-gradcam:none", "--namespace", "default")
    assert done.returncode == 2
    assert "default exists already" in done.stderr
    assert "removing" not in done.stderr


def test_a_cluster_that_is_not_there(tmp_path: Path, kubeconfig: str) -> None:
    document = yaml.safe_load(Path(kubeconfig).read_text(encoding="utf-8"))
    for one in document["clusters"]:
        one["cluster"]["server"] = "https://127.0.0.1:1"
    elsewhere = tmp_path / "elsewhere.conf"
    elsewhere.write_text(yaml.safe_dump(document), encoding="utf-8")

    done = Check(str(elsewhere), tmp_path).run("--image", "torchserve-gradcam:none")

    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: https://127.0.0.1:1 does not answer")


def test_a_root_that_could_be_written_is_found(check: Check, tmp_path: Path, image: str) -> None:
    copy = tmp_path / "kubernetes"
    shutil.copytree(ROOT / "kubernetes", copy)
    manifest = copy / "base" / "deployment.yaml"
    text = manifest.read_text(encoding="utf-8")
    mistaken = text.replace("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false")
    assert mistaken != text
    manifest.write_text(mistaken, encoding="utf-8")

    done = check.run(
        *("--image", image, "--requests", *_requests()),
        *("--overlay", str(copy / "overlays" / "cpu"), "--only", "guards"),
    )

    assert done.returncode == 1, done.stdout + done.stderr
    assert check.findings["guards"]["verdict"] == "FAILED"
    assert "the root is not mounted read-only" in check.findings["guards"]["seen"]


def test_all_checks_on_a_cluster_that_runs_pods(check: Check, image: str) -> None:
    done = check.run("--image", image, "--requests", *_requests())

    verdicts = {name: one["verdict"] for name, one in check.findings.items()}
    assert "FAILED" not in verdicts.values(), done.stdout
    assert verdicts["rolling-update"] == verdicts["eviction"] == "passed"


def _requests() -> list[str]:
    return os.environ.get("GRADCAM_TEST_REQUESTS", "cpu=100m").split()
