"""Findings as text."""

from collections.abc import Sequence

from inspection.findings import Findings
from inspection.prices import Price
from inspection.receptive_field import Field


def text(findings: Findings) -> str:
    """Everything but the maps, for the terminal."""
    model, default = findings.model, findings.default
    height, width = model.settings.preprocessing.crop_size
    label = model.classes[findings.target].label
    best = ", ".join(f"{name} {probability:.3f}" for name, probability in findings.predictions)
    first = next(iter(findings.cells))[0]
    parts = [
        f"{model.name}: {model.settings.architecture}, {len(model.classes)} classes, input "
        f"{height}×{width}",
        f"predictions: {best}",
        f"explained: {label}",
        f"default layer: {default} ({findings.why})",
        "",
        _columns(
            [
                ["layer", "channels", "grid", "sees", "90 % of it in", f"price of {first}"],
                *(
                    [
                        one.name + (" *" if one.name == default else ""),
                        str(one.channels),
                        f"{one.height}×{one.width}",
                        _sees(findings.fields[one.name], (height, width)),
                        _mostly(findings.fields[one.name]),
                        _price(findings.layer_prices.get(one.name)),
                    ]
                    for one in findings.layers
                ),
            ],
            left=1,
        ),
        "* the default. sees: pixels of the input that the middle cell depends on, height × width.",
        "",
        _columns(
            [
                ["method", f"price at {default}"],
                *([name, _price(price)] for name, price in findings.method_prices.items()),
            ],
            left=1,
        ),
        f"prices: multiples of a bare forward pass ({findings.forward:.1f} ms), medians of "
        "interleaved rounds (quartiles)",
    ]
    refused: dict[str, list[str]] = {}
    for (method, layer), cell in findings.cells.items():
        if cell.reason:
            refused.setdefault(method, []).append(layer)
    parts += [
        f"no map: {method} at {', '.join(layers)}: {findings.cells[method, layers[0]].reason}"
        for method, layers in refused.items()
    ]
    return "\n".join(parts)


def _sees(field: Field, size: tuple[int, int]) -> str:
    if (field.height, field.width) == size:
        return "all"
    return f"{field.height}×{field.width}"


def _mostly(field: Field) -> str:
    return f"{field.most_height}×{field.most_width}"


def _price(price: Price | None) -> str:
    return "–" if price is None else f"{price.median:.2f} ({price.low:.2f}–{price.high:.2f})"


def _columns(lines: Sequence[Sequence[str]], left: int) -> str:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
