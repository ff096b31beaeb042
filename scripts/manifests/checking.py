"""All checks of one rendering."""

from collections.abc import Iterator, Sequence

from manifests.alerts import check_alerts
from manifests.builtin import POD_SPEC, Builtin
from manifests.custom import Custom
from manifests.kserve import check_kserve
from manifests.mounts import check_mounts
from manifests.networks import check_networks
from manifests.pods import check_pods
from manifests.references import check_references
from manifests.resource import Finding, Resource, Resources, name_of, of_kind, pods_of
from manifests.scaling import check_scaling

_CHECKS = (
    check_pods,
    check_mounts,
    check_references,
    check_networks,
    check_scaling,
    check_alerts,
    check_kserve,
)


def check(
    resources: Resources, versions: Sequence[Builtin], custom: Custom | None
) -> list[Finding]:
    """What is wrong with the resources of one rendering.

    Args:
        resources: All of them.
        versions: The Kubernetes versions that must take them.
        custom: The definitions of custom resources, if there are any.

    Returns:
        None, if all is well. What the schemas refuse comes alone: the other checks take for granted
        that resources are of the form that the schemas give.
    """
    found = [one for resource in resources for one in _against_schema(resource, versions, custom)]
    if not found:
        found = [one for version in versions for one in _embedded_pods(resources, version)]
    if not found:
        found = [one for further in _CHECKS for one in further(resources)]
    return sorted(set(found))


def _against_schema(
    resource: Resource, versions: Sequence[Builtin], custom: Custom | None
) -> Iterator[Finding]:
    metadata = resource.get("metadata")
    if not isinstance(metadata, dict) or not metadata.get("name"):
        yield Finding(name_of(resource), "metadata", "has no name")
    if custom and custom.knows(resource):
        yield from custom.check(resource)
        return
    kind = f"{resource.get('apiVersion')} {resource.get('kind')}"
    knowing = [version for version in versions if version.knows(resource)]
    if not knowing:
        hint = "no definition in --crds is of it" if custom else "give its definition with --crds"
        yield Finding(name_of(resource), "kind", f"{kind} is no kind of Kubernetes, and {hint}")
        return
    for version in versions:
        if version in knowing:
            yield from version.check(resource)
        else:
            yield Finding(name_of(resource), "kind", f"there is no {kind}", version.version)


def _embedded_pods(resources: Resources, version: Builtin) -> Iterator[Finding]:
    """Pods in custom resources, whose definitions say less of a pod than Kubernetes does."""
    fields = version.definitions[POD_SPEC]["properties"]
    for pod in pods_of(list(of_kind(resources, "InferenceService"))):
        spec = {name: value for name, value in pod.spec.items() if name in fields}
        yield from version.check_as(POD_SPEC, spec, pod.owner, pod.place)
