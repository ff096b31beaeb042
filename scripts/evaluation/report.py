"""A comparison as text: the table at the terminal, and the tables of the document."""

from collections.abc import Sequence
from pathlib import Path

from evaluation.measures import MEASURES
from evaluation.results import Comparison, Row, leaders

BEGIN, END = "<!-- evaluation: begin -->", "<!-- evaluation: end -->"


def table(comparison: Comparison) -> str:
    """The table for the terminal: a line for every contender."""
    measures = comparison.measured
    heads = ["method", "layer", *(MEASURES[name].heading for name in measures)]
    lines = [heads]
    for row in comparison.rows:
        lines.append([row.method, row.layer or "–", *(_number(row, name) for name in measures)])
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    text = [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    text += [f"skipped: {m} at {layer}: {why}" for m, layer, why in comparison.skipped]
    if comparison.settings["no_mosaics"]:
        text.append(f"no grid pointing game: {comparison.settings['no_mosaics']}")
    return "\n".join(text)


def markdown(comparison: Comparison, command: str) -> str:
    """The tables for the document."""
    told, data = comparison.settings, comparison.data
    mosaic = "scaled to fit one input" if told["mosaic_scaled"] else "each picture at its full size"
    parts = [
        f"`{command}` drew {data['drawn']} pictures; the network gets {data['right']} of them "
        f"right, with a mean probability of {told['probability']:.3f} "
        f"({told['probability_blurred']:.3f} of the same pictures blurred, "
        f"{told['probability_blank']:.3f} of a blank one). Mosaics: {told['mosaics']} of "
        f"{told['mosaic_side']}×{told['mosaic_side']}, {mosaic}. Forgetting: "
        f"{told['forgetting']} pictures. Behind ± stands half of the mean's 95 % interval.",
        f"### Methods, all at `{comparison.default_layer}`",
        _methods_table(comparison),
        "Bold: the best of the methods, and those whose distance to it, picture by picture, may be "
        "chance (its 95 % interval holds 0).",
    ]
    layers = comparison.layers
    if len(layers) > 1:
        for name in ("grid_pointing", "road", "insertion"):
            if name in comparison.measured:
                parts += [
                    f"### {MEASURES[name].heading}, by layer",
                    _layers_table(comparison, layers, name),
                ]
    if comparison.skipped:
        lines = [f"- `{m}` at `{layer}`: {why}" for m, layer, why in comparison.skipped]
        parts += ["Not measured:", "\n".join(lines)]
    return "\n\n".join(parts)


def write_into(path: Path, text: str) -> None:
    """Replaces what stands between the two marks of a document.

    Raises:
        ValueError: It does not have the marks.
    """
    document = path.read_text(encoding="utf-8")
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} has no {BEGIN} … {END}")
    path.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


def _methods_table(comparison: Comparison) -> str:
    measures = comparison.measured
    best = {name: leaders(comparison.methods, name) for name in measures}
    lines = [["method", *(MEASURES[name].heading for name in measures)]]
    for row in [*comparison.methods, *comparison.baselines]:
        cells = []
        for name in measures:
            cell = _number(row, name)
            cells.append(f"**{cell}**" if row.layer and row.method in best[name] else cell)
        lines.append([f"`{row.method}`" if row.layer else f"*{row.method}*", *cells])
    return _grid(lines)


def _layers_table(comparison: Comparison, layers: Sequence[str], measure: str) -> str:
    by_place = {(row.method, row.layer): row for row in comparison.rows}
    methods = list(dict.fromkeys(row.method for row in comparison.rows if row.layer))
    lines = [["method", *(f"`{layer}`" for layer in layers)]]
    for method in methods:
        rows = [by_place.get((method, layer)) for layer in layers]
        cells = ["–" if row is None else _number(row, measure) for row in rows]
        lines.append([f"`{method}`", *cells])
    return _grid(lines)


def _grid(lines: Sequence[Sequence[str]]) -> str:
    head, *body = lines
    rule = ["---"] * len(head)
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *body))


def _number(row: Row, measure: str) -> str:
    mean = row.mean(measure)
    return "–" if mean is None else f"{mean:.3f} ± {row.half_width(measure):.3f}"
