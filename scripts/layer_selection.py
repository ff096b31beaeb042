"""A few layers that stand for all of a network's candidates."""

from collections.abc import Collection, Sequence

from gradcam import Layer, LayerTable


def pick_layers(table: LayerTable, most: int) -> tuple[str, ...]:
    """The last candidate of every shape, from input to logits; the default is always among them.

    Where one shape runs through the whole network, as in a transformer, its candidates are taken
    at even distances instead.

    Args:
        table: What the survey found.
        most: How many layers at most; those nearer to the logits stay.
    """
    layers = [table.choose(name) for name in table.candidates]
    picked = list({(one.channels, one.height, one.width): one.name for one in layers}.values())
    if len(picked) < min(3, most):
        picked = _evenly([one.name for one in layers], most)
    if table.default and table.default not in picked:
        shape = _shape(table.choose(table.default))
        picked = [name for name in picked if _shape(table.choose(name)) != shape]
        picked.append(table.default)
    kept = in_order(table, picked)
    surplus = max(0, len(kept) - most)
    dropped = [name for name in kept if name != table.default][:surplus]
    return tuple(name for name in kept if name not in dropped)


def in_order(table: LayerTable, names: Collection[str]) -> list[str]:
    """Layers from the picture to the logits, those that are no candidates last.

    The network's own list of modules would name a stage before its blocks.
    """
    order = list(dict.fromkeys([*table.candidates, *table.modules]))
    return sorted(names, key=order.index)


def _evenly(names: Sequence[str], most: int) -> list[str]:
    """The last name, and others at even distances before it."""
    count = min(most, len(names))
    return [names[round((number + 1) * len(names) / count) - 1] for number in range(count)]


def _shape(layer: Layer) -> tuple[int, int, int]:
    return layer.channels, layer.height, layer.width
