"""The objects that the check itself makes: a namespace, keys, a pod to ask from, policies."""

import copy

from cluster.rendering import Json

LABEL = {"app.kubernetes.io/managed-by": "gradcam-cluster-check"}
CLIENT = "cluster-check-client"
AUTOSCALER = "cluster-check"
_NAME = "kubernetes.io/metadata.name"  # that every namespace is labelled with
_LIFE = (
    4 * 60 * 60
)  # seconds after which a pod of ours ends by itself, whatever became of the check
_SLEEP = f"import time; time.sleep({_LIFE})"
_LISTEN = "import http.server as h; h.test(h.SimpleHTTPRequestHandler, port=8000)"


def namespace(name: str) -> Json:
    """One that lets no pod in that is not under the strictest of Kubernetes' pod standards."""
    standard = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {**LABEL, **standard}},
    }


def keys(namespace: str, secret: str, entry: str, key: str) -> Json:
    """The Secret with one key."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": secret, "namespace": namespace, "labels": LABEL},
        "stringData": {entry: f"cluster-check:{key}\n"},
    }


def client_pod(namespace: str, image: str) -> Json:
    """A pod with the product's image, which has a Python, that only waits to be told something."""
    return _pod(namespace, CLIENT, image, _SLEEP)


def listener_pod(namespace: str, name: str, image: str) -> Json:
    """A pod that listens on port 8000, to learn whether a policy keeps others from it."""
    return _pod(namespace, name, image, _LISTEN)


def deny_all(namespace: str, name: str) -> Json:
    """A policy that lets nobody reach the pod of this name."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace, "labels": LABEL},
        "spec": {
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": name}},
            "policyTypes": ["Ingress"],
        },
    }


def let_in(policy: Json, namespace: str) -> Json:
    """A copy of a policy that lets in from this namespace what it lets in from one by its name."""
    copied: Json = copy.deepcopy(policy)
    copied["metadata"] |= {"name": f"{policy['metadata']['name']}-let-in", "labels": LABEL}
    for rule in copied["spec"].get("ingress", ()):
        for source in rule.get("from", ()):
            labels = source.get("namespaceSelector", {}).get("matchLabels", {})
            if _NAME in labels:
                labels[_NAME] = namespace
    return copied


def autoscaler(namespace: str, deployment: str, least: int, most: int, cores: float) -> Json:
    """A plain autoscaler that keeps the CPU that each pod uses, on average, below so many cores."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": AUTOSCALER, "namespace": namespace, "labels": LABEL},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment},
            "minReplicas": least,
            "maxReplicas": most,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {"type": "AverageValue", "averageValue": f"{cores * 1000:.0f}m"},
                    },
                }
            ],
        },
    }


def _pod(namespace: str, name: str, image: str, program: str) -> Json:
    labels = {**LABEL, "app.kubernetes.io/name": name}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "activeDeadlineSeconds": _LIFE,
            "terminationGracePeriodSeconds": 1,
            "restartPolicy": "Never",
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "runAsGroup": 0,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "client",
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["python", "-c", program],
                    "workingDir": "/tmp",
                    "resources": {
                        "requests": {"cpu": "50m", "memory": "64Mi"},
                        "limits": {"memory": "256Mi"},
                    },
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                }
            ],
            "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}],
        },
    }
