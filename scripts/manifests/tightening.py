"""What the API server refuses although the published schemas let it pass.

The schemas say which fields there are and of which types. They leave out which words a field may
hold, which numbers are ports, how a quantity is written, and let everything be null.
"""

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

QUANTITY = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$"
_DNS_LABEL = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
_DNS_NAME = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$"
_LABEL_VALUE = r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$"
_PORT_NAME = r"^(?=.*[a-z])[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?$"
_RESOURCE_NAME = r"^(cpu|memory|ephemeral-storage|hugepages-.+|[a-z0-9.-]+/[-A-Za-z0-9_.]+)$"
_PORT = {"minimum": 1, "maximum": 65535}
_CORE = "io.k8s.api.core.v1"


def _one_of(*words: str) -> Schema:
    return {"enum": list(words)}


# by definition and field, what is added to the field's schema
_FIELDS: Mapping[str, Mapping[str, Schema]] = {
    f"{_CORE}.Container": {
        "name": {"pattern": _DNS_LABEL},
        "image": {"minLength": 1},
        "imagePullPolicy": _one_of("Always", "Never", "IfNotPresent"),
        "terminationMessagePolicy": _one_of("File", "FallbackToLogsOnError"),
    },
    f"{_CORE}.ContainerPort": {
        "name": {"pattern": _PORT_NAME},
        "containerPort": _PORT,
        "protocol": _one_of("TCP", "UDP", "SCTP"),
    },
    f"{_CORE}.PodSpec": {
        "restartPolicy": _one_of("Always", "OnFailure", "Never"),
        "dnsPolicy": _one_of("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"),
        "terminationGracePeriodSeconds": {"minimum": 0},
    },
    f"{_CORE}.SeccompProfile": {"type": _one_of("RuntimeDefault", "Localhost", "Unconfined")},
    f"{_CORE}.HTTPGetAction": {"scheme": _one_of("HTTP", "HTTPS"), "path": {"pattern": "^/"}},
    f"{_CORE}.Probe": {
        name: {"minimum": 1}
        for name in ("periodSeconds", "timeoutSeconds", "successThreshold", "failureThreshold")
    },
    f"{_CORE}.Toleration": {
        "operator": _one_of("Exists", "Equal", "Lt", "Gt"),
        "effect": _one_of("NoSchedule", "PreferNoSchedule", "NoExecute"),
    },
    f"{_CORE}.TopologySpreadConstraint": {
        "whenUnsatisfiable": _one_of("DoNotSchedule", "ScheduleAnyway"),
        "maxSkew": {"minimum": 1},
    },
    f"{_CORE}.EmptyDirVolumeSource": {"medium": _one_of("", "Memory", "HugePages")},
    f"{_CORE}.SecretVolumeSource": {"defaultMode": {"minimum": 0, "maximum": 0o777}},
    f"{_CORE}.ConfigMapVolumeSource": {"defaultMode": {"minimum": 0, "maximum": 0o777}},
    f"{_CORE}.VolumeMount": {"mountPath": {"minLength": 1}},
    f"{_CORE}.EnvVar": {"name": {"pattern": r"^[A-Za-z_][A-Za-z0-9_]*$"}},
    f"{_CORE}.ServiceSpec": {
        "type": _one_of("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"),
        "sessionAffinity": _one_of("None", "ClientIP"),
        "ports": {"minItems": 1},
    },
    f"{_CORE}.ServicePort": {
        "name": {"pattern": _DNS_LABEL},
        "port": _PORT,
        "protocol": _one_of("TCP", "UDP", "SCTP"),
    },
    f"{_CORE}.PersistentVolumeClaimSpec": {
        "accessModes": {
            "items": _one_of("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"),
            "minItems": 1,
        },
    },
    f"{_CORE}.VolumeResourceRequirements": {"requests": {"required": ["storage"]}},
    f"{_CORE}.ResourceRequirements": {
        part: {"propertyNames": {"pattern": _RESOURCE_NAME}} for part in ("requests", "limits")
    },
    "io.k8s.api.apps.v1.DeploymentSpec": {"replicas": {"minimum": 0}},
    "io.k8s.api.apps.v1.DeploymentStrategy": {"type": _one_of("Recreate", "RollingUpdate")},
    "io.k8s.api.policy.v1.PodDisruptionBudgetSpec": {
        "unhealthyPodEvictionPolicy": _one_of("IfHealthyBudget", "AlwaysAllow")
    },
    "io.k8s.api.networking.v1.NetworkPolicySpec": {
        "policyTypes": {"items": _one_of("Ingress", "Egress")}
    },
    "io.k8s.api.networking.v1.NetworkPolicyPort": {"protocol": _one_of("TCP", "UDP", "SCTP")},
    "io.k8s.api.networking.v1.IPBlock": {"cidr": {"pattern": r"^[0-9a-f.:]+/[0-9]{1,3}$"}},
    "io.k8s.api.autoscaling.v2.MetricSpec": {
        "type": _one_of("Resource", "ContainerResource", "Pods", "Object", "External")
    },
    "io.k8s.api.autoscaling.v2.MetricTarget": {
        "type": _one_of("Utilization", "Value", "AverageValue")
    },
    "io.k8s.api.autoscaling.v2.HPAScalingPolicy": {"type": _one_of("Pods", "Percent")},
    "io.k8s.api.autoscaling.v2.HPAScalingRules": {
        "selectPolicy": _one_of("Max", "Min", "Disabled")
    },
    "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelectorRequirement": {
        "operator": _one_of("In", "NotIn", "Exists", "DoesNotExist")
    },
    "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta": {
        "name": {"pattern": _DNS_NAME},
        "namespace": {"pattern": _DNS_LABEL},
        "labels": {"additionalProperties": {"type": "string", "pattern": _LABEL_VALUE}},
    },
}

_WHOLE: Mapping[str, Schema] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {
        "anyOf": [{"type": "string", "pattern": QUANTITY}, {"type": "number"}]
    },
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {
        "anyOf": [
            {"type": "string", "pattern": r"^([0-9]{1,3}%|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$"},
            {"type": "integer", "minimum": 0},
        ]
    },
}


# by definition, what is asked of the whole: fields that must be there, how many there are
_SHAPES: Mapping[str, Schema] = {
    # a name and one source
    f"{_CORE}.Volume": {"minProperties": 2, "maxProperties": 2},
    f"{_CORE}.EnvFromSource": {"minProperties": 1},
    f"{_CORE}.EnvVarSource": {"minProperties": 1, "maxProperties": 1},
    f"{_CORE}.ConfigMapVolumeSource": {"required": ["name"]},
    f"{_CORE}.ConfigMapEnvSource": {"required": ["name"]},
    f"{_CORE}.SecretVolumeSource": {"required": ["secretName"]},
    f"{_CORE}.SecretEnvSource": {"required": ["name"]},
    f"{_CORE}.PodTemplateSpec": {"required": ["metadata", "spec"]},
    f"{_CORE}.ServiceSpec": {"required": ["ports"]},
    f"{_CORE}.PersistentVolumeClaimSpec": {"required": ["accessModes", "resources"]},
    f"{_CORE}.VolumeResourceRequirements": {"required": ["requests"]},
    "io.k8s.api.networking.v1.NetworkPolicyPeer": {"minProperties": 1},
    "io.k8s.api.networking.v1.NetworkPolicySpec": {"required": ["podSelector", "policyTypes"]},
    "io.k8s.api.policy.v1.PodDisruptionBudgetSpec": {
        "required": ["selector"],
        "oneOf": [{"required": ["minAvailable"]}, {"required": ["maxUnavailable"]}],
    },
}


def tighten(definitions: Mapping[str, Schema]) -> dict[str, Schema]:
    """The definitions of a Kubernetes version, with all that is said here.

    Raises:
        KeyError: A definition or field named here is not there: the table is out of date.
    """
    tight: dict[str, Schema] = {name: _without_null(one) for name, one in definitions.items()}
    for name, shape in _SHAPES.items():
        required = sorted({*tight[name].get("required", ()), *shape.get("required", ())})
        tight[name] = {**tight[name], **shape, **({"required": required} if required else {})}
    for name, whole in _WHOLE.items():
        del tight[name]
        tight[name] = dict(whole)
    for name, fields in _FIELDS.items():
        properties = tight[name]["properties"]
        for field, more in fields.items():
            properties[field] = {**properties[field], **more}
    return tight


def _without_null(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_null(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _without_null(value) for key, value in schema.items()}
    if isinstance(kept.get("type"), list):
        kept["type"] = [one for one in kept["type"] if one != "null"]
    return kept
