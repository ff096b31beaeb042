#!/usr/bin/env python
"""Deploys an overlay on a real cluster, checks what an operator would, and takes it down again.

Everything happens in a namespace of its own, which is removed at the end, after Ctrl-C too. What
each check does, and what it needs of the cluster: docs/cluster-check.md. The official Kubernetes
client must be installed: pip install -r requirements/cluster.txt (in an environment of its own).
"""

import argparse
import functools
import importlib
import json
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from repository import ROOT
from stop_signals import Stopped, StopSignals

try:
    from cluster.checks.acceptance import overlays
    from cluster.deployed import read_deployed
    from cluster.errors import ClusterError
    from cluster.findings import Finding, as_document, exit_status, summary, table
    from cluster.objects import keys
    from cluster.order import CHECKS, OVERLAYS, run_all, wanted
    from cluster.quantities import amount
    from cluster.rendering import RenderingError, place, render
    from cluster.site import Site, is_ready
    from cluster.stay import Stay
except ImportError as missing:
    sys.exit(f"error: {missing}; pip install -r requirements/cluster.txt")

if TYPE_CHECKING:
    from cluster.api import Cluster

_FOLDER = ROOT / "kubernetes" / "overlays"
_EXAMPLES = """
examples:
  python scripts/cluster_check.py --kubeconfig ~/.kube/config --image registry/torchserve-gradcam:1
  python scripts/cluster_check.py --kubeconfig kind.conf --image torchserve-gradcam:cpu \\
      --requests cpu=100m                                   a cluster with few cores
  python scripts/cluster_check.py --kubeconfig kind.conf --image torchserve-gradcam:cpu \\
      --only explains rolling-update --keep
"""
_NOT_RUN = 2
_STOPPED = 130
_REMOVING = 120.0  # seconds beyond a pod's own grace


def main() -> int:
    """Runs the command line."""
    arguments = _parser().parse_args()
    signals = StopSignals()
    say = _clocked()
    try:
        cluster = _connect(arguments, say)
        site = _site(cluster, arguments, say)
        nodes = _ready_nodes(cluster)
    except (ClusterError, RenderingError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return _NOT_RUN
    say(f"{cluster.host()}: Kubernetes {cluster.version()}, {nodes} nodes ready")
    findings: list[Finding] = []
    stay = Stay(cluster, site.namespace, say)
    secret, entry = site.deployed.keys_secret
    keys_object = keys(site.namespace, secret, entry, site.key)
    stopped = False
    try:
        with signals.held():
            stay.begin()
        cluster.create(keys_object)
        checks = wanted(arguments.only, functools.partial(overlays, folder=_FOLDER))
        for finding in run_all(site, checks, nodes):
            findings.append(finding)  # one by one: what was found before a Ctrl-C is told
    except Stopped:
        stopped = True
        say("stopped; what was found until now follows")
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return _NOT_RUN
    finally:
        signals.ignore()
        if arguments.keep:
            say(f"kept: kubectl delete namespace {site.namespace} removes it")
        else:
            stay.end([*site.documents, keys_object], site.deployed.grace + _REMOVING)
    return _tell(findings, cluster, arguments, nodes, stopped)


def _connect(arguments: argparse.Namespace, say: Callable[[str], None]) -> "Cluster":
    """Imports what needs the Kubernetes client only here: --help and the tests do without it."""
    try:
        api = importlib.import_module("cluster.api")
    except ImportError as error:
        raise ImportError(f"{error}; pip install -r requirements/cluster.txt") from error
    say(f"connecting by {arguments.kubeconfig}")
    cluster: Cluster = api.Cluster(arguments.kubeconfig, arguments.context)
    return cluster


def _site(cluster: "Cluster", arguments: argparse.Namespace, say: Callable[[str], None]) -> Site:
    namespace = arguments.namespace or f"gradcam-check-{secrets.token_hex(3)}"
    rendered = render(_overlay(arguments.overlay))
    documents = place(rendered, namespace, arguments.image, dict(arguments.requests))
    return Site(
        cluster=cluster,
        pods=importlib.import_module("cluster.pods").Pods(cluster, namespace),
        documents=documents,
        deployed=read_deployed(documents),
        namespace=namespace,
        image=arguments.image,
        key=secrets.token_hex(32),
        model=arguments.model,
        patience=arguments.patience,
        rate=arguments.rate,
        say=say,
    )


def _overlay(name: str) -> Path:
    """One of ours by its name, or any other folder."""
    ours = _FOLDER / name
    return ours if ours.is_dir() else Path(name)


def _ready_nodes(cluster: "Cluster") -> int:
    return sum(is_ready(node) for node in cluster.list("v1", "Node"))


def _tell(
    findings: Sequence[Finding],
    cluster: "Cluster",
    arguments: argparse.Namespace,
    nodes: int,
    stopped: bool,
) -> int:
    about = {
        "kubernetes": cluster.version(),
        "nodes_ready": nodes,
        "overlay": arguments.overlay,
        "image": arguments.image,
        "rate": arguments.rate,
        "stopped": stopped,
    }
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(as_document(findings, about), indent=1)
    arguments.json.write_text(text, encoding="utf-8")
    print(f"{table(findings)}\n\n{summary(findings)}; written: {arguments.json}")
    return _STOPPED if stopped else exit_status(findings)


def _clocked() -> Callable[[str], None]:
    start = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - start:4.0f} s] {text}", file=sys.stderr, flush=True)

    return say


def _amount(text: str) -> tuple[str, str]:
    name, _, quantity = text.partition("=")
    amount(quantity)
    return name, quantity


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kubeconfig", type=Path, required=True, metavar="FILE")
    parser.add_argument("--context", metavar="NAME", help="default: the file's current one")
    parser.add_argument(
        "--image", required=True, metavar="REF", help="the product's, which the nodes can get"
    )
    parser.add_argument(
        "--namespace", metavar="NAME", help="must not exist (default: gradcam-check-<random>)"
    )
    parser.add_argument(
        "--overlay",
        default="cpu",
        metavar="NAME",
        help="what is deployed: one of kubernetes/overlays, or a folder (default: %(default)s)",
    )
    parser.add_argument(
        "--requests",
        nargs="+",
        type=_amount,
        default=[],
        metavar="NAME=AMOUNT",
        help="ask less of a small cluster, such as cpu=100m; limits stay (default: as the overlay)",
    )
    parser.add_argument(
        "--model", default="demo", metavar="NAME", help="that is asked (default: %(default)s)"
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=4.0,
        metavar="N",
        help="explanations per second of the steady load (default: %(default)s)",
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=600.0,
        metavar="SECONDS",
        help="that anything may take (default: %(default)s)",
    )
    names = [OVERLAYS, *(check.name for check in CHECKS)]
    parser.add_argument(
        "--only",
        nargs="+",
        choices=names,
        default=[],
        metavar="CHECK",
        help=f"these, and what they need (default: all): {', '.join(names)}",
    )
    parser.add_argument("--keep", action="store_true", help="leave the namespace as it is")
    parser.add_argument(
        "--json",
        type=Path,
        default=ROOT / "run" / "cluster-check.json",
        metavar="FILE",
        help="default: run/cluster-check.json",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
