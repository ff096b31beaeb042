"""Manifests with one mistake each: the validation must see every one, and none where there is none.

Custom resources are among them where GRADCAM_TEST_DATA has their definitions.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from manifests.builtin import builtin
from manifests.checking import check
from manifests.resource import name_of
from rendered_overlays import NAMES, Document, Path_, at, definitions, only, paths, rendered

NEWEST = [builtin("1.37")]
CUSTOM = ("ScaledObject", "PodMonitor", "PrometheusRule", "InferenceService")

# Where a name is anybody's to choose, so that no misspelling can be told: notes and labels that
# nothing of ours selects by, the contents of ConfigMaps that we do not read, and devices.
FREE = (
    ("metadata", "labels"),
    ("metadata", "annotations"),
    ("spec", "template", "metadata", "annotations"),
    ("spec", "predictor", "annotations"),
    ("namespaceSelector", "matchLabels"),
    ("data",),
    ("limits", "nvidia.com/gpu"),
)


def judged(name: str) -> list[Document]:
    """An overlay's resources, without the custom ones where their definitions are not at hand."""
    return [one for one in rendered(name) if definitions() or one["kind"] not in CUSTOM]


def is_free(path: Path_) -> bool:
    return any(
        path[start : start + len(part)] == part for part in FREE for start in range(len(path))
    )


@dataclass(frozen=True)
class Mutant:
    """One mistake: a key misspelt, or a value replaced by one of another type."""

    number: int
    path: Path_
    misspelt: bool
    what: str

    def made(self, resources: list[Document]) -> list[Document]:
        """The resources with the mistake."""
        changed = list(resources)
        changed[self.number] = copy.deepcopy(resources[self.number])
        parent, key = at(changed[self.number], self.path[:-1]), self.path[-1]
        if self.misspelt:
            parent[f"{key}x"] = parent.pop(key)
        else:
            parent[key] = "wrong!" if isinstance(parent[key], dict) else {"wrong": [1]}
        return changed


def mutants(resources: list[Document]) -> Iterator[Mutant]:
    """Every key misspelt, and every value replaced by one of another type."""
    for number, resource in enumerate(resources):
        for path in paths(resource):
            where = f"{name_of(resource)} {'.'.join(map(str, path))}"
            if isinstance(path[-1], str) and not is_free(path):
                yield Mutant(number, path, True, f"misspelt: {where}")
            yield Mutant(number, path, False, f"of another type: {where}")


@pytest.mark.parametrize("name", [name for name in NAMES if name != "kserve" or definitions()])
def test_every_misspelt_field_and_every_wrong_type_is_seen(name: str) -> None:
    resources = judged(name)
    assert check(resources, NEWEST, definitions()) == []
    # what the cpu overlay has is judged there; the others have it too
    known = {mutant.what for mutant in mutants(judged("cpu"))} if name != "cpu" else set()
    new = [mutant for mutant in mutants(resources) if mutant.what not in known]
    missed = [one.what for one in new if not check(one.made(resources), NEWEST, definitions())]
    assert missed == []
    assert len(new) >= (400 if name == "cpu" else 0)


Change = Callable[[list[Document]], Any]


def deployment(resources: list[Document]) -> Any:
    return only(resources, "Deployment")["spec"]


def pod(resources: list[Document]) -> Any:
    return deployment(resources)["template"]["spec"]


def container(resources: list[Document]) -> Any:
    return pod(resources)["containers"][0]


def put(where: Callable[[list[Document]], Any], **values: Any) -> Change:
    return lambda resources: where(resources).update(values)


def drop(where: Callable[[list[Document]], Any], key: str | int) -> Change:
    return lambda resources: where(resources).pop(key)


def of(kind: str, *path: str | int) -> Callable[[list[Document]], Any]:
    return lambda resources: at(only(resources, kind), path)


CPU: dict[str, Change] = {
    "a kind that there is not": put(of("Deployment"), kind="Deploymnet"),
    "a kind in another letter case": put(of("Deployment"), kind="deployment"),
    "a group that there is not": put(of("Deployment"), apiVersion="app/v1"),
    "a group whose beginning is right": put(
        of("NetworkPolicy"), apiVersion="networking.k8s.com/v1"
    ),
    "a version that is gone": put(of("PodDisruptionBudget"), apiVersion="policy/v1beta1"),
    "no apiVersion": drop(of("Service"), "apiVersion"),
    "no name": drop(of("Service", "metadata"), "name"),
    "a name that is none": put(of("Service", "metadata"), name="Grad_CAM"),
    "a label that is too long": put(of("Service", "metadata", "labels"), app="a" * 64),
    "no spec": drop(of("Service"), "spec"),
    "no selector": drop(deployment, "selector"),
    "no template": drop(deployment, "template"),
    "no containers": drop(pod, "containers"),
    "null for a number": put(deployment, replicas=None),
    "a number as text": put(deployment, replicas="2"),
    "fewer than no replicas": put(deployment, replicas=-1),
    "a strategy that there is not": put(of("Deployment", "spec", "strategy"), type="RollingUpdat"),
    "surge in words": put(
        of("Deployment", "spec", "strategy", "rollingUpdate"), maxSurge="one pod"
    ),
    "a policy for images that there is not": put(container, imagePullPolicy="IfNotPressent"),
    "latest": put(container, image="torchserve-gradcam:latest"),
    "no tag": put(container, image="torchserve-gradcam"),
    "no tag, but the port of a registry": put(container, image="registry:5000/torchserve-gradcam"),
    "a digest that is too short": put(container, image="torchserve-gradcam@sha256:abc"),
    "a quantity with a wrong unit": put(
        lambda one: container(one)["resources"]["limits"], memory="2GiB"
    ),
    "a resource that there is not": put(
        lambda one: container(one)["resources"]["limits"], memroy="2Gi"
    ),
    "no limits": drop(lambda one: container(one)["resources"], "limits"),
    "no request of memory": drop(lambda one: container(one)["resources"]["requests"], "memory"),
    "more memory than is requested": put(
        lambda one: container(one)["resources"]["requests"], memory="1Gi"
    ),
    "no readiness probe": drop(container, "readinessProbe"),
    "no startup probe": drop(container, "startupProbe"),
    "liveness asks readiness": lambda one: container(one)["livenessProbe"]["exec"][
        "command"
    ].__setitem__(3, "ready"),
    "liveness is asked at the door, where connections may run out": lambda one: container(
        one
    ).update(
        livenessProbe={
            "httpGet": {"path": "/live", "port": "http"},
            "timeoutSeconds": 10,
        }
    ),
    "a second for a Python to start": drop(
        lambda one: container(one)["livenessProbe"], "timeoutSeconds"
    ),
    "the start is asked in three seconds": put(
        lambda one: container(one)["startupProbe"], timeoutSeconds=3
    ),
    "readiness is asked past the door": lambda one: container(one).update(
        readinessProbe={"exec": {"command": ["python", "-m", "container.health", "ready"]}}
    ),
    "readiness asks TorchServe's ping": put(
        lambda one: container(one)["readinessProbe"]["httpGet"], path="/ping"
    ),
    "a probe at a port without that name": put(
        lambda one: container(one)["readinessProbe"]["httpGet"], port="htpp"
    ),
    "a probe in another scheme": put(
        lambda one: container(one)["readinessProbe"]["httpGet"], scheme="HTTPZ"
    ),
    "a probe every 0 seconds": put(lambda one: container(one)["livenessProbe"], periodSeconds=0),
    "a port beyond all ports": put(lambda one: container(one)["ports"][0], containerPort=80000),
    "a port's name that is too long": put(
        lambda one: container(one)["ports"][1], name="metrics-of-the-pod"
    ),
    "two ports with one name and number": lambda one: container(one)["ports"].append(
        dict(container(one)["ports"][0])
    ),
    "may become root": drop(container, "securityContext"),
    "may gain privileges": put(
        lambda one: container(one)["securityContext"], allowPrivilegeEscalation=True
    ),
    "a root that can be written": put(
        lambda one: container(one)["securityContext"], readOnlyRootFilesystem=False
    ),
    "a capability": put(
        lambda one: container(one)["securityContext"]["capabilities"], add=["NET_ADMIN"]
    ),
    "runs as root": put(lambda one: pod(one)["securityContext"], runAsNonRoot=False),
    "user 0": put(lambda one: pod(one)["securityContext"], runAsUser=0),
    "no seccomp": put(lambda one: pod(one)["securityContext"]["seccompProfile"], type="Unconfined"),
    "seccomp misspelt": put(
        lambda one: pod(one)["securityContext"]["seccompProfile"], type="RuntimeDefualt"
    ),
    "the node's network": put(pod, hostNetwork=True),
    "the node's files": lambda one: pod(one)["volumes"].append(
        {"name": "node", "hostPath": {"path": "/"}}
    ),
    "the token of the service account": drop(pod, "automountServiceAccountToken"),
    "variables from Services": drop(pod, "enableServiceLinks"),
    "a service account that is not there": put(pod, serviceAccountName="gradcma"),
    "less time than the drain takes": put(pod, terminationGracePeriodSeconds=179),
    "no time is said": drop(pod, "terminationGracePeriodSeconds"),
    "a drain beyond the time": lambda one: next(
        env for env in container(one)["env"] if env["name"] == "GRADCAM_DRAIN_LIMIT"
    ).update(value="180"),
    "one variable twice": lambda one: container(one)["env"].append(dict(container(one)["env"][0])),
    "a mount of no volume": put(lambda one: container(one)["volumeMounts"][0], name="confg"),
    "a volume that is mounted nowhere": drop(lambda one: container(one)["volumeMounts"], 2),
    "nothing to write at /tmp": put(
        lambda one: container(one)["volumeMounts"][3], mountPath="/tpm"
    ),
    "two mounts in one place": put(
        lambda one: container(one)["volumeMounts"][3], mountPath="/dev/shm"
    ),
    "a volume of nothing": drop(lambda one: pod(one)["volumes"][0], "configMap"),
    "a volume of two things": put(lambda one: pod(one)["volumes"][0], emptyDir={}),
    "a ConfigMap that is not there": put(
        lambda one: pod(one)["volumes"][0]["configMap"], name="gradcam-config"
    ),
    "a ConfigMap without the file": lambda one: next(
        each for each in one if each["kind"] == "ConfigMap"
    )["data"].pop("config.properties"),
    "a Secret that is not there": put(
        lambda one: pod(one)["volumes"][1]["secret"], secretName="gradcam-key"
    ),
    "a Secret of which no item is needed": drop(
        lambda one: pod(one)["volumes"][1]["secret"], "items"
    ),
    "an item of the Secret under another name": put(
        lambda one: pod(one)["volumes"][1]["secret"]["items"][0], path="key"
    ),
    "a Secret that may be missing": put(
        lambda one: pod(one)["volumes"][1]["secret"], optional=True
    ),
    "keys that nothing asks for": lambda one: container(one).update(
        env=[env for env in container(one)["env"] if env["name"] != "GRADCAM_KEYS_FILE"]
    ),
    "more in folders than the disk's limit": put(
        lambda one: pod(one)["volumes"][2]["emptyDir"], sizeLimit="6Gi"
    ),
    "a medium that there is not": put(lambda one: pod(one)["volumes"][4]["emptyDir"], medium="RAM"),
    "pods that the Deployment does not select": put(
        lambda one: deployment(one)["selector"]["matchLabels"], tier="front"
    ),
    "spread among other pods": put(
        lambda one: pod(one)["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"], a="b"
    ),
    "spread in another way": put(
        lambda one: pod(one)["topologySpreadConstraints"][0], whenUnsatisfiable="Schedule"
    ),
    "a Service of no pods": put(of("Service", "spec", "selector"), tier="front"),
    "a Service to no port": put(of("Service", "spec", "ports", 0), targetPort="htpp"),
    "a Service without ports": drop(of("Service", "spec"), "ports"),
    "a Service of a type that there is not": put(of("Service", "spec"), type="LoadBalancr"),
    "a protocol that there is not": put(of("Service", "spec", "ports", 0), protocol="HTTP"),
    "a budget for no pods": put(
        of("PodDisruptionBudget", "spec", "selector", "matchLabels"), tier="front"
    ),
    "a budget for all pods that there are": put(
        of("PodDisruptionBudget", "spec", "selector"), matchLabels={}
    ),
    "a budget of nothing": drop(of("PodDisruptionBudget", "spec"), "maxUnavailable"),
    "a budget of both kinds": put(of("PodDisruptionBudget", "spec"), minAvailable=1),
    "a policy for no pods": put(
        of("NetworkPolicy", "spec", "podSelector", "matchLabels"), tier="front"
    ),
    "a policy that lets everything out": put(
        of("NetworkPolicy", "spec"), policyTypes=["Ingress"], egress=[]
    ),
    "a direction that there is not": put(of("NetworkPolicy", "spec"), policyTypes=["In", "Egress"]),
    "every port is open": drop(of("NetworkPolicy", "spec", "ingress", 0), "ports"),
    "open to the world": drop(of("NetworkPolicy", "spec", "ingress", 0), "from"),
    "metrics for the whole cluster": put(
        of("NetworkPolicy", "spec", "ingress", 1, "from", 0), namespaceSelector={}
    ),
    "a policy for a port that is not there": put(
        of("NetworkPolicy", "spec", "ingress", 0, "ports", 0), port="htpp"
    ),
    "one resource twice": lambda one: one.append(copy.deepcopy(only(one, "Service"))),
}

BY_OVERLAY: dict[str, dict[str, Change]] = {
    "gpu": {
        "an effect that there is not": put(
            lambda one: pod(one)["tolerations"][0], effect="NoScheduling"
        ),
        "an operator that there is not": put(
            lambda one: pod(one)["tolerations"][0], operator="Exist"
        ),
    },
    "model-store-pvc": {
        "a claim that is not there": put(
            lambda one: pod(one)["volumes"][0]["persistentVolumeClaim"], claimName="store"
        ),
        "a way of access that there is not": put(
            lambda one: only(one, "PersistentVolumeClaim", "gradcam-model-store")["spec"],
            accessModes=["ReadOnlyMny"],
        ),
    },
    "model-store-s3": {
        "a file that no key makes": lambda one: at(
            pod(one), ("initContainers", 0, "command")
        ).__setitem__(1, "/etc/gradcam/fetch/fetsch.sh"),
        "a variable that is not there": lambda one: at(
            pod(one), ("initContainers", 0, "command")
        ).__setitem__(2, "store:$(STORE)"),
        "no limits of the init container": drop(
            lambda one: pod(one)["initContainers"][0], "resources"
        ),
        "an address that is none": lambda one: at(
            only(one, "NetworkPolicy", "gradcam-model-store"),
            ("spec", "egress", 0, "to", 0, "ipBlock"),
        ).update(cidr="anywhere"),
    },
    "autoscale-keda": {
        "a raw counter": put(
            of("ScaledObject", "spec", "triggers", 1, "metadata"),
            query='sum(ts_queue_latency_microseconds{namespace="gradcam"})',
        ),
        "a counter over a window, but no rate": put(
            of("ScaledObject", "spec", "triggers", 1, "metadata"),
            query='sum(max_over_time(ts_queue_latency_microseconds{namespace="gradcam"}[2m]))',
        ),
        "a query about every namespace": put(
            of("ScaledObject", "spec", "triggers", 2, "metadata"),
            query="sum(gradcam_pending_requests)",
        ),
        "a query about another namespace": put(of("ScaledObject", "metadata"), namespace="prod"),
        "a bracket too few": put(
            of("ScaledObject", "spec", "triggers", 2, "metadata"),
            query='sum(gradcam_pending_requests{namespace="gradcam"}',
        ),
        "no threshold": drop(of("ScaledObject", "spec", "triggers", 0, "metadata"), "threshold"),
        "a threshold of 0": put(
            of("ScaledObject", "spec", "triggers", 0, "metadata"), threshold="0"
        ),
        "a threshold that is no text": put(
            of("ScaledObject", "spec", "triggers", 0, "metadata"), threshold=0.7
        ),
        "an option that KEDA does not know": put(
            of("ScaledObject", "spec", "triggers", 0, "metadata"), ignoreNulValues="false"
        ),
        "a kind of metric that there is not": put(
            of("ScaledObject", "spec", "triggers", 0), metricType="Average"
        ),
        "a target that is not there": put(of("ScaledObject", "spec", "scaleTargetRef"), name="x"),
        "scales to nothing": put(of("ScaledObject", "spec"), minReplicaCount=0),
        "at least more than at most": put(of("ScaledObject", "spec"), maxReplicaCount=1),
        "a fallback that there is not": put(
            of("ScaledObject", "spec", "fallback"), behavior="currentReplica"
        ),
        "replicas that every apply sets": put(deployment, replicas=2),
        "no triggers": put(of("ScaledObject", "spec"), triggers=[]),
        "a version of KEDA's that there is not": put(of("ScaledObject"), apiVersion="keda.sh/v1"),
    },
    "monitoring": {
        "a port that is not there": put(
            of("PodMonitor", "spec", "podMetricsEndpoints", 0), port="metric"
        ),
        "nothing is read": put(of("PodMonitor", "spec"), podMetricsEndpoints=[]),
        "a monitor of no pods": put(
            of("PodMonitor", "spec", "selector", "matchLabels"), tier="front"
        ),
        "a duration that is none": put(
            of("PodMonitor", "spec", "podMetricsEndpoints", 0), interval="15 seconds"
        ),
        "no expression": drop(of("PrometheusRule", "spec", "groups", 0, "rules", 0), "expr"),
        "no severity": drop(
            of("PrometheusRule", "spec", "groups", 0, "rules", 0, "labels"), "severity"
        ),
        "no rules": put(of("PrometheusRule", "spec"), groups=[]),
    },
    "kserve": {
        "another mode of KServe": put(
            of("InferenceService", "metadata", "annotations"),
            **{"serving.kserve.io/deploymentMode": "RawDeploymnet"},
        ),
        "scaled on the CPU": drop(
            of("InferenceService", "metadata", "annotations"), "serving.kserve.io/autoscalerClass"
        ),
        "metrics before the door": lambda one: at(
            only(one, "InferenceService"), ("spec", "predictor", "containers", 0, "ports")
        ).reverse(),
        "a container that KServe does not know": put(
            of("InferenceService", "spec", "predictor", "containers", 0), name="gradcam"
        ),
        "a policy for images that there is not": put(
            of("InferenceService", "spec", "predictor", "containers", 0), imagePullPolicy="Alway"
        ),
        "a quantity with a wrong unit": put(
            of("InferenceService", "spec", "predictor", "containers", 0, "resources", "limits"),
            memory="2GB",
        ),
        "labels that no policy selects": put(
            of("InferenceService", "spec", "predictor"), labels={}
        ),
        "a ConfigMap that is not there": put(
            of("InferenceService", "spec", "predictor", "volumes", 0, "configMap"),
            name="gradcam-config",
        ),
    },
    "cpu": CPU,
}

CASES = [
    pytest.param(overlay, change, id=f"{overlay}: {what}")
    for overlay, changes in BY_OVERLAY.items()
    for what, change in changes.items()
]


@pytest.mark.parametrize(("overlay", "change"), CASES)
def test_a_mistake_is_seen(overlay: str, change: Change) -> None:
    resources = judged(overlay)
    if len(resources) < len(rendered(overlay)):
        pytest.skip("an extra: the definitions of custom resources, from GRADCAM_TEST_DATA/crds")
    assert check(resources, NEWEST, definitions()) == []
    change(resources)
    assert check(resources, NEWEST, definitions()), "the mistake was not seen"
