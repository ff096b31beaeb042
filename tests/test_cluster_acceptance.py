"""An overlay with a Secret of keys: the check's own stays, or it could not ask."""

from typing import Any

from cluster.checks.acceptance import accepted
from cluster.findings import Verdict
from test_cluster_canary import site


class PretendedCluster:
    """Takes everything, and tells what it was given to keep."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def is_namespaced(self, *_: str) -> bool:
        return True

    def apply(self, document: dict[str, Any], *, dry_run: bool = False) -> None:
        if not dry_run:
            self.made.append(f"{document['kind']} {document['metadata']['name']}")


def test_the_overlays_secret_of_keys_does_not_replace_the_checks() -> None:
    cluster = PretendedCluster()
    documents = [
        {"apiVersion": version, "kind": kind, "metadata": {"name": name}}
        for version, kind, name in (
            ("v1", "Secret", "gradcam-keys"),
            ("v1", "Secret", "gradcam-model-store"),
            ("v1", "ConfigMap", "gradcam-keys"),
        )
    ]
    assert accepted(site(cluster, documents)).verdict is Verdict.PASSED
    assert cluster.made == ["Secret gradcam-model-store", "ConfigMap gradcam-keys"]
