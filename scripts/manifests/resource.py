"""A rendered resource, and what can be wrong with one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Resource = Mapping[str, Any]
"""A document of a manifest, as YAML gives it."""

Resources = Sequence[Resource]
"""Those of one rendering."""


@dataclass(frozen=True, order=True)
class Finding:
    """Something that is wrong.

    Attributes:
        resource: ``Kind/name``.
        place: The path of the field, such as ``spec.replicas``; empty for the whole.
        message: What is wrong there.
        version: The Kubernetes version whose schema says so; empty for what none says.
    """

    resource: str
    place: str
    message: str
    version: str = ""

    def __str__(self) -> str:
        version = f" (Kubernetes {self.version})" if self.version else ""
        return f"{self.resource}{version}: {self.place or 'the whole'}: {self.message}"


@dataclass(frozen=True)
class Pod:
    """A pod that a resource makes.

    Attributes:
        owner: The resource, as ``Kind/name``.
        kind: Its kind.
        place: Where the pod's spec stands in it.
        labels: That the pod will have.
        spec: Its spec.
    """

    owner: str
    kind: str
    place: str
    labels: Mapping[str, str]
    spec: Mapping[str, Any]

    @property
    def containers(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Of every container, the place and the container; those for the start come first."""
        for field in ("initContainers", "containers"):
            for number, container in enumerate(self.spec.get(field) or ()):
                yield f"{self.place}.{field}[{number}]", container

    @property
    def ports(self) -> set[str]:
        """The names of all its ports."""
        return {
            port["name"]
            for _, container in self.containers
            for port in container.get("ports") or ()
            if "name" in port
        }


def name_of(resource: Resource) -> str:
    """``Kind/name``, whatever is missing."""
    metadata = resource.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return f"{resource.get('kind', '?')}/{name or '?'}"


def kind_of(resource: Resource) -> tuple[str, str]:
    """``apiVersion`` and ``kind``, as text whatever they are."""
    return str(resource.get("apiVersion")), str(resource.get("kind"))


def of_kind(resources: Resources, *kinds: str) -> Iterator[Resource]:
    """Those of some kinds."""
    return (resource for resource in resources if resource.get("kind") in kinds)


def pods_of(resources: Resources) -> Iterator[Pod]:
    """The pods that Deployments and InferenceServices make."""
    for resource in of_kind(resources, "Deployment", "StatefulSet", "DaemonSet", "Job"):
        template = resource["spec"]["template"]
        labels = (template.get("metadata") or {}).get("labels") or {}
        kind = str(resource["kind"])
        yield Pod(name_of(resource), kind, "spec.template.spec", labels, template["spec"])
    for resource in of_kind(resources, "InferenceService"):
        for part, spec in resource["spec"].items():
            labels = spec.get("labels") or {}
            yield Pod(name_of(resource), "InferenceService", f"spec.{part}", labels, spec)


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a label selector names something with these labels.

    One that is empty would select everything that there is, and so names nothing.
    """
    if not selector or not any(selector.values()):
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_meets(one, labels) for one in selector.get("matchExpressions") or ())


def _meets(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or ()
    return {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }[expression["operator"]]
