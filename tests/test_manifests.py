"""The manifests themselves: what the rest of the project, and the documents, rely on."""

import os
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml
from scaling.hpa import SHIPPED, Policy
from scaling.signals import Targets

from container.door import SLOWEST
from gradcam.version import __version__
from manifests.checking import check
from manifests.kustomize import find_kustomize, render
from manifests.resource import name_of, pods_of
from rendered_overlays import NAMES, OVERLAYS, definitions, only, rendered, versions
from repository import ROOT

DOCUMENT = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(?:yaml|ini)\n# (deployment/\S+)\n(.*?)^```", DOCUMENT, re.S | re.M)
EXAMPLES = sorted({str(Path(path).parent) for path, _ in BLOCKS})


def judge(resources: list[dict[str, Any]]) -> None:
    """All is well, as far as the definitions that are at hand can tell."""
    everywhere = versions()
    if definitions() is not None:
        assert check(resources, everywhere, definitions()) == []
        return
    custom = [one for one in resources if not everywhere[0].knows(one)]
    if custom:
        named = ", ".join(map(name_of, custom))
        warnings.warn(f"not validated without GRADCAM_TEST_DATA/crds: {named}", stacklevel=2)
    for resource in resources:
        if resource not in custom:
            assert [one for each in everywhere for one in each.check(resource)] == []


def test_the_overlays_are_those_that_are_promised() -> None:
    assert tuple(sorted(one.name for one in OVERLAYS.iterdir())) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_overlay_is_valid(name: str) -> None:
    judge(rendered(name))


@pytest.mark.parametrize("name", ["config.properties", "metrics.yaml"])
def test_the_configuration_is_the_one_in_the_root(name: str) -> None:
    copy = ROOT / "kubernetes" / "base" / name
    assert copy.read_bytes() == (ROOT / name).read_bytes(), f"cp {name} kubernetes/base/"


def test_a_change_of_the_configuration_rolls_the_pods(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "kubernetes", tmp_path / "kubernetes")
    file = tmp_path / "kubernetes" / "base" / "config.properties"
    file.write_text(file.read_text().replace("=120", "=60"))
    changed = render(find_kustomize(ROOT / "run" / "tools"), tmp_path / "kubernetes/overlays/cpu")
    names = [
        only(one, "Deployment")["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"]
        for one in (rendered("cpu"), changed)
    ]
    assert names[0] != names[1]


@pytest.mark.parametrize("name", NAMES)
def test_images_have_the_version_of_the_code(name: str) -> None:
    images = [box["image"] for pod in pods_of(rendered(name)) for _, box in pod.containers]
    assert f"torchserve-gradcam:{__version__}" in images


def test_kserves_gateway_waits_longer_than_the_door() -> None:
    assert only(rendered("kserve"), "InferenceService")["spec"]["predictor"]["timeout"] > SLOWEST


def test_an_update_and_a_drained_node_take_no_capacity_away() -> None:
    resources = rendered("cpu")
    spec = only(resources, "Deployment")["spec"]
    assert spec["replicas"] >= 2
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert only(resources, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_only_the_door_has_a_service() -> None:
    (port,) = only(rendered("cpu"), "Service")["spec"]["ports"]
    assert port["targetPort"] == "http"


def test_metrics_are_for_the_monitoring_namespace_and_names_are_all_that_goes_out() -> None:
    spec = only(rendered("cpu"), "NetworkPolicy")["spec"]
    (metrics,) = [
        one for one in spec["ingress"] if one["ports"] == [{"port": "metrics", "protocol": "TCP"}]
    ]
    selector = {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}
    assert metrics["from"] == [{"namespaceSelector": selector}]
    assert {port["port"] for rule in spec["egress"] for port in rule["ports"]} == {53}


def test_kserve_runs_the_same_pod() -> None:
    """All that the base says of a pod, the InferenceService says too."""
    (base,) = pods_of(rendered("cpu"))
    (served,) = pods_of(rendered("kserve"))
    assert served.labels == base.labels
    mine, theirs = dict(base.spec), dict(served.spec)
    (box,), (other,) = mine.pop("containers"), theirs.pop("containers")
    assert {name: theirs[name] for name in mine} == mine
    assert {**other, "name": box["name"]} == box


@pytest.mark.parametrize("name", NAMES)
def test_a_pod_on_its_way_out_waits_for_every_answer_that_the_door_waits_for(name: str) -> None:
    (pod,) = pods_of(rendered(name))
    *_, (_, box) = pod.containers
    told = {one["name"]: one["value"] for one in box["env"]}
    assert float(told["GRADCAM_DRAIN_LIMIT"]) >= SLOWEST
    grace = float(told["GRADCAM_DRAIN_SECONDS"]) + float(told["GRADCAM_DRAIN_LIMIT"]) + 20
    assert pod.spec["terminationGracePeriodSeconds"] == grace


@pytest.mark.parametrize("name", NAMES)
def test_a_start_may_take_longer_than_a_load(name: str) -> None:
    (pod,) = pods_of(rendered(name))
    *_, (_, box) = pod.containers
    probe = box["startupProbe"]
    config = (ROOT / "config.properties").read_text(encoding="utf-8")
    (load,) = re.findall(r"^default_startup_timeout=(\d+)$", config, re.M)
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 2 * int(load)


@pytest.mark.parametrize("name", NAMES)
def test_the_probes_inside_know_what_the_container_s_health_command_knows(name: str) -> None:
    (pod,) = pods_of(rendered(name))
    *_, (_, box) = pod.containers
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "GRADCAM_AGENT_PORT": "1"}
    for probe in ("startupProbe", "livenessProbe"):
        program, *arguments = box[probe]["exec"]["command"]
        assert program == "python"
        done = subprocess.run(
            [sys.executable, *arguments],
            env=environment,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        # there is no agent: the command got as far as to ask for it
        assert (done.returncode, "nobody can tell" in done.stdout) == (1, True), done.stderr


@pytest.mark.parametrize("name", ["autoscale-keda", "autoscale-keda-gpu"])
def test_an_autoscaled_deployment_has_no_number_of_its_own(name: str) -> None:
    assert "replicas" not in only(rendered(name), "Deployment")["spec"]


def test_on_gpus_requests_take_the_place_of_busy_workers() -> None:
    usual, gpu = (
        {one["name"]: one for one in only(rendered(name), "ScaledObject")["spec"]["triggers"]}
        for name in ("autoscale-keda", "autoscale-keda-gpu")
    )
    assert set(usual) - set(gpu) == {"busy-workers"}
    assert set(gpu) - set(usual) == {"requests"}
    assert gpu["pending-requests"]["metadata"].pop("threshold") == "8"
    del usual["pending-requests"]["metadata"]["threshold"]
    for name in ("queue-seconds", "pending-requests"):
        assert gpu[name] == usual[name]


def test_the_autoscaler_is_as_quick_as_the_simulated_one() -> None:
    spec = only(rendered("autoscale-keda"), "ScaledObject")["spec"]
    told = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    up, down = (
        {
            Policy(
                one["periodSeconds"],
                pods=one["value"] if one["type"] == "Pods" else 0,
                share=one["value"] / 100 if one["type"] == "Percent" else 0.0,
            )
            for one in told[way]["policies"]
        }
        for way in ("scaleUp", "scaleDown")
    )
    assert (set(SHIPPED.up), set(SHIPPED.down)) == (up, down)
    assert told["scaleUp"]["stabilizationWindowSeconds"] == SHIPPED.up_window
    assert told["scaleDown"]["stabilizationWindowSeconds"] == SHIPPED.down_window
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (SHIPPED.least, SHIPPED.most)
    thresholds = [float(one["metadata"]["threshold"]) for one in spec["triggers"]]
    targets = Targets()
    assert thresholds == [targets.busy, targets.queue_seconds, targets.pending]


def written(folder: Path) -> None:
    """The documents' examples, beside a copy of ``kubernetes``, with what an operator adds."""
    shutil.copytree(ROOT / "kubernetes", folder / "kubernetes")
    for path, text in BLOCKS:
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    production = folder / "deployment" / "production"
    (production / "keys").write_text("shop:not-a-real-key\n")
    (production / "SHA256SUMS").write_text(f"{'ab' * 32}  flowers.mar\n")


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_overlays_in_the_documents_are_valid(example: str, tmp_path: Path) -> None:
    written(tmp_path)
    resources = render(find_kustomize(ROOT / "run" / "tools"), tmp_path / example)
    judge(resources)
    assert {one["metadata"]["namespace"] for one in resources} == {"gradcam"}


def test_the_documents_show_a_mixture(tmp_path: Path) -> None:
    written(tmp_path)
    folder = tmp_path / "deployment" / "production"
    resources = render(find_kustomize(ROOT / "run" / "tools"), folder)
    (pod,) = pods_of(resources)
    boxes = [box for _, box in pod.containers]
    assert boxes[1]["image"] == f"registry.example.com/torchserve-gradcam:{__version__}"
    assert boxes[1]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert {"name": "GRADCAM_MODELS", "value": "flowers=flowers.mar"} in boxes[1]["env"]
    stores = [
        one for one in resources if one["metadata"]["name"].startswith("gradcam-model-store-")
    ]
    assert "flowers.mar" in stores[0]["data"]["SHA256SUMS"]
    assert {one["kind"] for one in resources} >= {"ScaledObject", "PodMonitor", "Secret"}


def test_mig_takes_the_place_of_the_whole_device(tmp_path: Path) -> None:
    written(tmp_path)
    resources = render(find_kustomize(ROOT / "run" / "tools"), tmp_path / "deployment" / "mig")
    limits = only(resources, "Deployment")["spec"]["template"]["spec"]["containers"][0][
        "resources"
    ]["limits"]
    assert limits["nvidia.com/mig-1g.10gb"] == "1"
    assert "nvidia.com/gpu" not in limits


def squeezed(query: str) -> str:
    return re.sub(r"\s+", " ", query).strip()


def test_every_autoscaler_in_the_documents_asks_what_keda_asks(tmp_path: Path) -> None:
    triggers = only(rendered("autoscale-keda"), "ScaledObject")["spec"]["triggers"]
    asked = [squeezed(one["metadata"]["query"]) for one in triggers]
    (adapter,) = re.findall(
        r"^```yaml\n# prometheus-adapter\S*.*?\n(.*?)^```", DOCUMENT, re.S | re.M
    )
    rules = yaml.safe_load(adapter)["externalRules"]
    assert [squeezed(one["metricsQuery"]) for one in rules] == asked
    written(tmp_path)
    command = find_kustomize(ROOT / "run" / "tools")
    scaler = only(render(command, tmp_path / "deployment" / "hpa"), "HorizontalPodAutoscaler")
    names = [one["external"]["metric"]["name"] for one in scaler["spec"]["metrics"]]
    assert names == [one["name"]["as"] for one in rules]
    targets = [one["external"]["target"] for one in scaler["spec"]["metrics"]]
    assert [one["type"] for one in targets] == [one["metricType"] for one in triggers]
    keda = only(rendered("autoscale-keda"), "ScaledObject")["spec"]["advanced"]
    behaviour = keda["horizontalPodAutoscalerConfig"]["behavior"]
    assert scaler["spec"]["behavior"] == behaviour
    service = only(render(command, tmp_path / "deployment" / "kserve"), "InferenceService")
    metrics = service["spec"]["predictor"]["autoScaling"]["metrics"]
    assert [squeezed(one["external"]["metric"]["query"]) for one in metrics] == [asked[0], asked[2]]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "validate_manifests.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_says_that_all_is_well() -> None:
    done = run("cpu", "gpu")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1.37, 1.36, 1.35" in done.stdout


def test_the_command_does_not_let_a_custom_resource_pass_unseen() -> None:
    done = run("autoscale-keda")
    assert done.returncode == 1
    assert "ScaledObject/gradcam" in done.stdout
    assert "--crds" in done.stdout


def test_the_command_judges_custom_resources_by_their_definitions() -> None:
    if definitions() is None:
        pytest.skip("an extra: GRADCAM_TEST_DATA names no folder with crds/")
    done = run("--crds", str(Path(os.environ["GRADCAM_TEST_DATA"]) / "crds"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_command_sees_a_mistake_in_a_folder_of_ones_own(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "kubernetes", tmp_path / "kubernetes")
    file = tmp_path / "kubernetes" / "base" / "deployment.yaml"
    file.write_text(file.read_text().replace("readinessProbe:", "readynessProbe:"))
    done = run(str(tmp_path / "kubernetes" / "overlays" / "cpu"))
    assert done.returncode == 1
    assert "readynessProbe" in done.stdout
    file.write_text("kind: [")
    done = run(str(tmp_path / "kubernetes" / "overlays" / "cpu"))
    assert done.returncode == 2
    assert "error:" in done.stderr


def test_definitions_that_are_none_are_refused(tmp_path: Path) -> None:
    done = run("--crds", str(tmp_path), "cpu")
    assert done.returncode == 2
    (tmp_path / "x.yaml").write_text("kind: Pod\n")
    assert "not a CustomResourceDefinition" in run("--crds", str(tmp_path), "cpu").stderr
