"""InferenceServices: that KServe makes of one what its words say."""

from collections.abc import Iterator

from manifests.resource import Finding, Resources, name_of, of_kind

_MODE = "serving.kserve.io/deploymentMode"
_CLASS = "serving.kserve.io/autoscalerClass"
_CLASSES = ("none", "external", "keda")
_CONTAINER = "kserve-container"


def check_kserve(resources: Resources) -> Iterator[Finding]:
    """What is wrong with the InferenceServices."""
    for service in of_kind(resources, "InferenceService"):
        name = name_of(service)
        annotations = service["metadata"].get("annotations") or {}
        if annotations.get(_MODE) != "Standard":
            yield Finding(name, "metadata.annotations", f"{_MODE} is not Standard")
        if annotations.get(_CLASS) not in _CLASSES:
            # the default scales on the CPU in use
            yield Finding(
                name, "metadata.annotations", f"{_CLASS} is none of {', '.join(_CLASSES)}"
            )
        predictor = service["spec"]["predictor"]
        metrics = (predictor.get("autoScaling") or {}).get("metrics")
        if (annotations.get(_CLASS) == "keda") != bool(metrics and predictor.get("maxReplicas")):
            yield Finding(
                name, "spec.predictor", "maxReplicas and autoScaling.metrics go with the class keda"
            )
        first = (predictor.get("containers") or [{}])[0]
        if first.get("name") != _CONTAINER:
            yield Finding(name, "spec.predictor.containers[0].name", f"is not {_CONTAINER}")
        if [port.get("name") for port in first.get("ports") or ()][:1] != ["http"]:
            # KServe's Service leads to the first port
            yield Finding(name, "spec.predictor.containers[0].ports", "the door is not the first")
