"""A sweep's table and plot."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

from gradcam.methods import METHODS, Method, Needs

Row = Mapping[str, Any]

LIMIT = 1e-4


def write_document(rows: Sequence[Row], versions: Mapping[str, str], path: Path) -> None:
    """Writes the table as Markdown."""
    done = [row for row in rows if "error" in row]
    worst = max(done, key=lambda row: float(row["error"]))
    lines = [
        "# Architectures",
        "",
        "Every model of `torchvision.models.list_models(module=torchvision.models)` and one of "
        "each of ten of timm's families, surveyed and explained with weights drawn from a seed: "
        "`python scripts/sweep.py --torchvision --timm --json sweep.json`, then "
        "`python scripts/sweep.py --json sweep.json --plot docs/images/sweep.png "
        "--document docs/architectures.md` writes this page and its plot.",
        "",
        "Nobody told the engine anything about these models. **Layer** is the default that it "
        "found from the part that each layer plays in the autograd graph. **Bypassed** says that a "
        "residual leads around it, as around all that the last attention reads: where only a class "
        "token is read, the gradient at the last block's own output is exactly zero at every other "
        "token, so that there is no map to be made there. **Tokens** are those that stand before "
        "the grid's cells and are left out of the map.",
        "",
        "**Difference** is the greatest difference of the map, as the engine gives it in float32, "
        "from full autograd in float64 that differentiates every parameter, over the greatest "
        "magnitude of that map before the ReLU. **Same in float32** is the difference of full "
        "autograd in float32 from the same: the share of float32 in it. Pictures are noise, "
        "224×224 for networks that take any size, also where the published weights were trained on "
        "larger ones. Weights that begin as zeros (many heads) are drawn too, and so are running "
        "statistics, within bounds that keep activations of deep networks from growing until "
        "float32 does not even give the logits any more. With statistics that noise really has "
        "(`--statistics noise`) deep normalisations divide by next to nothing and make much of "
        "rounding; some deep networks then go beyond the limit, by the very difference that full "
        "autograd in float32 has.",
        "",
        f"{len(done)} models; the greatest difference is {float(worst['error']):.1e} "
        f"({worst['name']}). "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + ", one CPU.",
        "",
        "![Each model's difference from full autograd, on a logarithmic scale](images/sweep.png)",
        "",
        "| model | picture | layer | grid | channels | tokens | bypassed | methods | difference "
        "| same in float32 |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(_line(row) for row in rows),
        "",
    ]
    path.write_text("\n".join(lines), encoding="utf-8")


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draws every model's difference as a dot."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415 - after the backend is chosen

    done = [row for row in rows if "error" in row]
    places = range(len(done))
    figure, axes = plt.subplots(figsize=(8, 1.2 + 0.155 * len(done)), layout="constrained")
    floor = 1e-8  # a difference of zero has no place on a logarithmic scale
    ours: dict[str, Any] = {"color": "#1f5fa8", "markersize": 3.5}
    theirs: dict[str, Any] = {"color": "#b0b0b0", "markersize": 6, "markerfacecolor": "none"}
    for key, who, look in (
        ("autograd_float32", "full autograd in float32", theirs),
        ("error", "this engine in float32", ours),
    ):
        values = [max(floor, float(row[key])) for row in done]
        axes.plot(values, places, "o", label=who, **look)
    axes.axvline(LIMIT, color="#c03030", linewidth=1, label="the limit, 1e-4")
    axes.set_xscale("log")
    axes.set_xlim(floor * 0.7, max(LIMIT * 5, *(float(row["error"]) * 2 for row in done)))
    axes.set_ylim(len(done) - 0.5, -0.5)
    axes.set_yticks(places, [row["name"] for row in done], fontsize=6.5)
    axes.set_xlabel(
        "greatest difference from full autograd in float64 / greatest magnitude of the map",
        fontsize=8,
    )
    axes.grid(visible=True, axis="x", linewidth=0.4)
    axes.tick_params(axis="x", labelsize=8)
    figure.legend(loc="outside upper center", ncols=3, fontsize=8, frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def methods_that_apply(row: Row) -> str:
    """The registry's methods that a layer takes, in words."""
    missing = [name for name, method in METHODS.items() if not _applies(method, row)]
    return f"all but {', '.join(missing)}" if missing else "all"


def _applies(method: Method, row: Row) -> bool:
    if method.needs is Needs.LINEAR_HEAD:
        return bool(row["linear_head"])
    return bool(row["differentiable"]) or method.needs is not Needs.GRADIENTS


def _line(row: Row) -> str:
    start = f"| {row['name']} | {row.get('side', '?')}×{row.get('side', '?')} |"
    if "error" not in row:
        told = row["reason"] if "reason" in row else f"**failed**: {row['failure']}"
        return f"{start} none: {told} | | | | | | | |"
    tokens = str(row["skipped"]) if row["kind"] == "tokens" else "–"
    return (
        f"{start} `{row['layer']}` | {row['height']}×{row['width']} | {row['channels']} "
        f"| {tokens} | {'yes' if row['bypassed'] else 'no'} | {methods_that_apply(row)} "
        f"| {float(row['error']):.1e} | {float(row['autograd_float32']):.1e} |"
    )
