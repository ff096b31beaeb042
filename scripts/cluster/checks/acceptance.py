"""Does the API server take the objects, checking strictly, and the pods that come of them?"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from cluster.errors import ClusterError
from cluster.findings import Seen, failed, judged, not_checked, passed
from cluster.rendering import Json, RenderingError, place, render
from cluster.site import Site, name_of


def overlays(site: Site, folder: Path) -> Seen:
    """Every overlay is rendered and given to the server, which checks it and keeps nothing."""
    wrong, unknown, taken = [], [], []
    for overlay in sorted(path for path in folder.iterdir() if path.is_dir()):
        try:
            documents = place(render(overlay), site.namespace, site.image)
        except RenderingError as error:
            wrong.append(f"{overlay.name}: {error}")
            continue
        missing = set(_not_served(site, documents))
        unknown += [f"{overlay.name} (no {kind})" for kind in sorted(missing)]
        refusals = list(refused(site, [one for one in documents if _kind(one) not in missing]))
        wrong += [f"{overlay.name}: {refusal}" for refusal in refusals]
        if not refusals and not missing:
            taken.append(f"{overlay.name} ({len(documents)})")
        site.say(f"overlay {overlay.name}: {len(documents)} objects, {len(refusals)} refused")
    return judge_overlays(wrong, unknown, taken)


def judge_overlays(wrong: Sequence[str], unknown: Sequence[str], taken: Sequence[str]) -> Seen:
    """An overlay whose kinds the cluster does not know was not checked, and says so."""
    right = f"accepted, with so many objects: {', '.join(taken) or 'none'}"
    if wrong:
        return failed("; ".join(wrong))
    if unknown:
        return not_checked(f"the cluster lacks kinds: {', '.join(unknown)}; {right}")
    return passed(right) if taken else failed("there is no overlay")


def accepted(site: Site) -> Seen:
    """The overlay's objects, first only checked by the server, then really made."""
    outside = [
        f"{_kind(one)} {name_of(one)} lies in no namespace, and is not made"
        for one in site.documents
        if not site.cluster.is_namespaced(one["apiVersion"], one["kind"])
    ]
    if outside:
        return failed("; ".join(outside))
    wrong = list(refused(site, site.documents))
    if wrong:
        return failed("; ".join(wrong))
    for document in site.documents:
        if (document["kind"], name_of(document)) == ("Secret", site.deployed.keys_secret[0]):
            continue  # the check has made this one, with a key that it knows
        site.cluster.apply(document)
        site.say(f"made {document['kind']} {name_of(document)}")
    kinds = ", ".join(document["kind"] for document in site.documents)
    return passed(f"{len(site.documents)} objects accepted: {kinds}")


def pod_standard(site: Site) -> Seen:
    """A pod of the deployment's template, in a namespace that enforces the strictest standard."""
    deployment = next(one for one in site.documents if one["kind"] == "Deployment")
    template = deployment["spec"]["template"]
    metadata = {
        **template["metadata"],
        "name": f"{site.deployed.name}-tried",
        "namespace": site.namespace,
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    wrong = list(_refusals(site, [pod]))
    # the same pod as root, which must be refused, or the standard is not enforced here at all
    spec = {**template["spec"], "securityContext": {"runAsUser": 0}}
    if not wrong and not list(_refusals(site, [{**pod, "spec": spec}])):
        return not_checked("the cluster does not enforce pod standards: it takes a pod of root's")
    return judged(wrong, "the pod is accepted; the same pod as root is refused")


def refused(site: Site, documents: Sequence[Json]) -> Iterator[str]:
    """A sentence for each object that the server would not take."""
    for document in documents:
        try:
            site.cluster.apply(document, dry_run=True)
        except ClusterError as error:
            yield f"{document['kind']} {name_of(document)}: {error}"


def _refusals(site: Site, pods: Sequence[Json]) -> Iterator[str]:
    for pod in pods:
        try:
            site.cluster.create(pod, dry_run=True)
        except ClusterError as error:
            yield str(error)


def _not_served(site: Site, documents: Sequence[Json]) -> Iterator[str]:
    for document in documents:
        if not site.cluster.serves(document["apiVersion"], document["kind"]):
            yield _kind(document)


def _kind(document: Json) -> str:
    return f"{document['apiVersion']} {document['kind']}"
