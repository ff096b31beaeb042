"""An overlay's objects are placed elsewhere, and what the checks need is read off them."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.deployed import read_deployed
from cluster.quantities import amount
from cluster.rendering import RenderingError, is_product, place, render

OBJECTS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: gradcam}
spec:
  replicas: 2
  selector: {matchLabels: {app.kubernetes.io/name: gradcam}}
  template:
    metadata: {labels: {app.kubernetes.io/name: gradcam}}
    spec:
      terminationGracePeriodSeconds: 90
      securityContext: {runAsUser: 10001}
      initContainers:
        - {name: fetch, image: "rclone/rclone:1"}
      containers:
        - name: gradcam
          image: torchserve-gradcam:0.1.0-cpu
          env: [{name: GRADCAM_KEYS_FILE, value: /etc/gradcam/keys/mine}]
          ports: [{name: http, containerPort: 8000}, {name: metrics, containerPort: 8002}]
          resources:
            requests: {cpu: "1", memory: 2Gi}
            limits: {cpu: "2", memory: 2Gi}
          volumeMounts: [{name: secret, mountPath: /etc/gradcam/keys}]
      volumes: [{name: secret, secret: {secretName: gradcam-keys}}]
---
apiVersion: v1
kind: Service
metadata: {name: front, namespace: default}
spec: {ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: budget}
spec: {maxUnavailable: 1}
"""


@pytest.fixture
def documents() -> list[Any]:
    return list(yaml.safe_load_all(OBJECTS))


def test_objects_are_placed_with_another_image_and_smaller_requests(documents: list[Any]) -> None:
    before = copy.deepcopy(documents)

    placed = place(documents, "mine", "host:5000/other@sha256:1", {"cpu": "100m"})

    assert documents == before
    assert [one["metadata"]["namespace"] for one in placed] == ["mine"] * 3
    pod = placed[0]["spec"]["template"]["spec"]
    assert pod["initContainers"][0]["image"] == "rclone/rclone:1"
    assert pod["containers"][0]["image"] == "host:5000/other@sha256:1"
    assert pod["containers"][0]["resources"] == {
        "requests": {"cpu": "100m", "memory": "2Gi"},
        "limits": {"cpu": "2", "memory": "2Gi"},
    }


def test_an_overlay_without_the_product_is_refused(documents: list[Any]) -> None:
    with pytest.raises(RenderingError, match="no container"):
        place(documents[1:], "mine", "other")


@pytest.mark.parametrize(
    ("image", "product"),
    [
        ("torchserve-gradcam", True),
        ("registry:5000/team/torchserve-gradcam:1", True),
        ("torchserve-gradcam@sha256:00", True),
        ("torchserve-gradcam-proxy:1", False),
        ("torchserve-gradcam/other", False),
    ],
)
def test_the_product_is_known_by_its_name(image: str, product: bool) -> None:
    assert is_product(image) is product


def test_what_the_checks_need_is_read_off_the_objects(documents: list[Any]) -> None:
    deployed = read_deployed(documents)

    assert (deployed.name, deployed.service, deployed.budget) == ("gradcam", "front", "budget")
    assert (deployed.door, deployed.metrics, deployed.service_port) == (8000, 8002, 80)
    assert deployed.keys_secret == ("gradcam-keys", "mine")
    assert (deployed.replicas, deployed.user, deployed.grace) == (2, 10001, 90)


def test_an_entry_of_the_secret_may_have_another_name_than_its_file(documents: list[Any]) -> None:
    secret = documents[0]["spec"]["template"]["spec"]["volumes"][0]["secret"]
    secret["items"] = [{"key": "theirs", "path": "mine"}]
    assert read_deployed(documents).keys_secret == ("gradcam-keys", "theirs")


def test_what_is_missing_is_named(documents: list[Any]) -> None:
    container = documents[0]["spec"]["template"]["spec"]["containers"][0]
    del container["resources"]["limits"]
    with pytest.raises(RenderingError, match="limits"):
        read_deployed(documents)
    with pytest.raises(RenderingError, match="one Service"):
        read_deployed(documents[:1])
    container["resources"]["limits"] = {}
    container["volumeMounts"] = []
    with pytest.raises(RenderingError, match="no Secret"):
        read_deployed(documents)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500m", 0.5),
        ("1500000n", 0.0015),
        ("2", 2.0),
        ("1.5", 1.5),
        ("2Gi", 2.0**31),
        ("3M", 3e6),
        ("1e3", 1e3),
        ("1Pi", 2.0**50),
    ],
)
def test_quantities(text: str, value: float) -> None:
    assert amount(text) == value


@pytest.mark.parametrize("text", ["2GB", "two", "", "Gi"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        amount(text)


def test_what_renders_is_on_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RenderingError, match="kustomize or kubectl"):
        render(tmp_path)
