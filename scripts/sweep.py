#!/usr/bin/env python
"""Holds the engine's default layer and map against full float64 autograd, on many networks.

One network at a time, so that memory is bounded by the largest; what is in the JSON already is not
done again.
"""

import argparse
import gc
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "handlers"))

import timm
import torch
import torchvision
from torch import Tensor

from gradcam import Ask, Explainer, Outcome, Top
from gradcam.engine.targets import Target
from gradcam.errors import GradcamError
from gradcam.survey.layers import Layer
from sweep_networks import Subject, build, find_subject, noise, timm_subjects, torchvision_subjects
from sweep_oracle import full_autograd_map
from sweep_report import LIMIT, draw, write_document

EXAMPLES = """
examples:
  python scripts/sweep.py --models resnet18 timm/mixer_b16_224
  python scripts/sweep.py --torchvision --timm --json sweep.json    goes on where it was stopped
  python scripts/sweep.py --json sweep.json --plot sweep.png --document architectures.md
"""


def try_out(subject: Subject, statistics: str) -> dict[str, Any]:
    """A row of the table: the default layer, and how far its map is from full autograd's."""
    row: dict[str, Any] = {"name": subject.name, "side": subject.side, "statistics": statistics}
    network, picture = build(subject, statistics), noise(subject)
    started = time.perf_counter()
    explainer = Explainer(network, (subject.side, subject.side))
    row["survey_seconds"] = round(time.perf_counter() - started, 2)
    if explainer.layers.default is None:
        return row | {"reason": explainer.layers.why_no_default}
    layer = explainer.layers.choose(None)
    row |= _describe(layer)
    values, index = _engine_map(explainer, picture, Top(1))

    def by_autograd(picture: Tensor) -> Tensor:
        skipped = layer.layout.skipped if layer.layout.kind == "tokens" else None
        is_last = layer.layout.kind != "channels_first"
        found = full_autograd_map(network, layer.name, picture, index, skipped, last=is_last)
        return found.reshape(layer.height, layer.width)

    in_float32 = by_autograd(picture)
    network.double()
    exact = by_autograd(picture.double())
    row |= {"index": index, "greatest": float(exact.abs().max())}
    row |= {"error": _share(values, exact), "autograd_float32": _share(in_float32, exact)}
    if row["error"] > LIMIT:  # is it float32, or is it us?
        doubled, _ = _engine_map(explainer, picture.double(), index)
        row["error_float64"] = _share(doubled, exact)
    return row


def _describe(layer: Layer) -> dict[str, Any]:
    return {
        "layer": layer.name,
        "channels": layer.channels,
        "height": layer.height,
        "width": layer.width,
        "kind": layer.layout.kind,
        "skipped": layer.layout.skipped,
        "bypassed": layer.bypassed,
        "linear_head": layer.linear_head,
        "differentiable": layer.differentiable,
    }


def _engine_map(explainer: Explainer, picture: Tensor, target: Target) -> tuple[Tensor, int]:
    (outcome,) = explainer.run(picture, [Ask(targets=(target,))])
    if not isinstance(outcome, Outcome):
        raise outcome
    return outcome.maps[0].values, outcome.maps[0].index


def _share(found: Tensor, exact: Tensor) -> float:
    greatest = float(exact.abs().max())
    if not greatest > 0:
        raise ValueError("the exact map is zero everywhere, so that there is nothing to compare")
    return float((found.double() - exact).abs().max()) / greatest


def sweep(subjects: Sequence[Subject], path: Path | None, statistics: str) -> list[dict[str, Any]]:
    """Goes through networks, and writes the JSON after each."""
    kept = json.loads(path.read_text(encoding="utf-8")) if path and path.exists() else {"rows": []}
    rows: dict[str, dict[str, Any]] = {row["name"]: row for row in kept["rows"]}
    for number, subject in enumerate(subjects, start=1):
        start = f"[{number}/{len(subjects)}] {subject.name}"
        if subject.name in rows and "failure" not in rows[subject.name]:
            print(f"{start}: already there", flush=True)
            continue
        started = time.perf_counter()
        try:
            row = try_out(subject, statistics)
        except (GradcamError, RuntimeError, ValueError, TypeError) as error:
            row = {"name": subject.name, "side": subject.side, "failure": str(error)}
        rows[subject.name] = row
        print(f"{start}: {_summary(row)}, {time.perf_counter() - started:.0f} s", flush=True)
        gc.collect()
        if path:
            beside = path.with_suffix(".part")
            document = {"versions": _versions(), "rows": list(rows.values())}
            beside.write_text(json.dumps(document, indent=1), encoding="utf-8")
            beside.replace(path)
    return list(rows.values())


def _summary(row: Mapping[str, Any]) -> str:
    if "error" not in row:
        return str(row.get("failure", row.get("reason")))
    bypassed = ", bypassed" if row["bypassed"] else ""
    exact = f" ({row['error_float64']:.1e} in float64)" if "error_float64" in row else ""
    return (
        f"{row['layer']} {row['height']}×{row['width']}{bypassed}, {row['error']:.1e}{exact}, "
        f"autograd {row['autograd_float32']:.1e}"
    )


def _versions() -> dict[str, str]:
    modules = (torch, torchvision, timm)
    return {module.__name__: str(module.__version__).split("+")[0] for module in modules}


def main(arguments: Sequence[str] | None = None) -> int:
    """Parses the command line and sweeps; 1 where a network failed or is beyond the limit."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=[], metavar="NAME", help="timm/… for timm's")
    parser.add_argument("--torchvision", action="store_true", help="all of torchvision's")
    parser.add_argument("--timm", action="store_true", help="one of each of ten of timm's families")
    parser.add_argument(
        "--statistics",
        choices=["drawn", "noise"],
        default="drawn",
        help="where running statistics come from (see sweep_networks.py)",
    )
    parser.add_argument("--json", type=Path, help="keep the results here, and go on from them")
    parser.add_argument("--plot", type=Path, help="draw a picture (.png)")
    parser.add_argument("--document", type=Path, help="write the table (.md)")
    options = parser.parse_args(arguments)
    subjects = [find_subject(name) for name in options.models]
    subjects += torchvision_subjects() if options.torchvision else []
    subjects += timm_subjects() if options.timm else []
    rows = sweep(subjects, options.json, options.statistics)
    if not rows:
        parser.error("name some models, or a JSON file that holds results")
    order = {s.name: n for n, s in enumerate([*torchvision_subjects(), *timm_subjects()])}
    rows.sort(key=lambda row: (order.get(row["name"], len(order)), row["name"]))
    if options.plot:
        draw(rows, options.plot)
    if options.document:
        write_document(rows, _versions(), options.document)
    bad = [row["name"] for row in rows if "failure" in row or row.get("error", 0) > LIMIT]
    if bad:
        print(f"beyond {LIMIT:g}, or failed: {', '.join(bad)}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
