"""Methods and layers as a command line asks for them, or what stands in where it does not."""

from collections.abc import Sequence

from gradcam import METHODS, LayerTable
from layer_selection import pick_layers


class WishError(Exception):
    """What was asked for does not exist; the message says what does."""


def chosen_methods(names: Sequence[str] | None) -> list[str]:
    """The named methods, or all.

    Raises:
        WishError: There is no such method.
    """
    for name in names or ():
        if name not in METHODS:
            raise WishError(f"method {name!r} does not exist; there are {', '.join(METHODS)}")
    return list(names or METHODS)


def chosen_layers(names: Sequence[str] | None, table: LayerTable, most: int) -> Sequence[str]:
    """The named layers, or a few that stand for all.

    Args:
        names: What was asked for.
        table: What the survey found.
        most: How many layers at most, where none is named.

    Raises:
        GradcamError: A named layer does not exist or cannot be explained.
    """
    return [table.choose(name).name for name in names or ()] or pick_layers(table, most)
