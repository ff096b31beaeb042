"""How an option's value is read: small readers, each of one kind of value."""

import difflib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from gradcam.errors import InvalidOption
from gradcam.geometry import Box

Reader = Callable[[str, object], Any]
"""``(option's name, what was sent) -> value``; raises :class:`InvalidOption`.

What was sent is a text, or what JSON has. A reader never gets JSON's null.
"""

_MOST_WHOLE = 2**31  # more means the same everywhere, and fits an index


def choice(choices: Sequence[str], aliases: Mapping[str, str] = MappingProxyType({})) -> Reader:
    """Reads one of some words, in any letter case.

    Args:
        choices: The words, in lower case.
        aliases: Other spellings of some of them.
    """

    def read(name: str, value: object) -> str:
        text = value.strip().lower() if isinstance(value, str) else value
        text = aliases.get(text, text) if isinstance(text, str) else text
        if text not in choices:
            raise wrong(name, value, f"one of {', '.join(choices)}", choices)
        return str(text)

    return read


def whole(lowest: int, highest: int | None = None) -> Reader:
    """Reads a whole number; without a highest one, what is beyond 2³¹ is read as that."""
    wanted = f"from {lowest} up" if highest is None else f"from {lowest} to {highest}"

    def read(name: str, value: object) -> int:
        number = number_of(value)
        if number is None or not number.is_integer() or number < lowest:
            raise wrong(name, value, f"a whole number {wanted}")
        if highest is not None and number > highest:
            raise wrong(name, value, f"a whole number {wanted}")
        return int(min(number, _MOST_WHOLE))

    return read


def share(name: str, value: object) -> float:
    """Reads a number from 0 to 1."""
    number = number_of(value)
    if number is None or not 0 <= number <= 1:
        raise wrong(name, value, "a number from 0 to 1")
    return number


def flag(name: str, value: object) -> bool:
    """Reads true or false, as a word in any letter case or as JSON has them."""
    text = value.strip().lower() if isinstance(value, str) else value
    if text in ("true", "false"):
        return text == "true"
    if not isinstance(text, bool):
        raise wrong(name, value, "true or false")
    return text


def box(name: str, value: object) -> Box:
    """Reads ``left,top,width,height``, a text or a list."""
    parts = value.split(",", 4) if isinstance(value, str) else value
    numbers = [number_of(part) for part in parts[:5]] if isinstance(parts, list) else []
    edges = [int(n) for n in numbers if n is not None and n.is_integer() and 0 <= n < 2**31]
    if len(numbers) != 4 or len(edges) != 4 or min(edges[2:]) < 1:
        wanted = "left,top,width,height in whole pixels of the upright picture"
        raise wrong(name, value, wanted)
    return Box(*edges)


def names(most: int) -> Reader:
    """Reads one or several names: a text with commas, a JSON list, or a text that is one.

    Args:
        most: How many may be listed.
    """
    wanted = "the dotted name of a module, or a list of them"

    def read(name: str, value: object) -> tuple[str, ...]:
        if isinstance(value, str) and value.lstrip().startswith("["):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                raise wrong(name, value, wanted) from None
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list) or not parts:
            raise wrong(name, value, wanted)
        if len(parts) > most:
            raise InvalidOption(f"{name} lists {len(parts)} names; at most {most} are read")
        if not all(isinstance(part, str) for part in parts):
            raise wrong(name, value, wanted)
        return tuple(dict.fromkeys(part.strip() for part in parts))

    return read


def number_of(value: object) -> float | None:
    """The finite number that a text or a JSON number is, if it is one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def wrong(name: str, value: object, wanted: str, choices: Sequence[str] = ()) -> InvalidOption:
    """The refusal of a value, with what is wanted instead and the choice that comes closest."""
    shown = repr(value)
    shown = shown if len(shown) <= 80 else f"{shown[:77]}…"
    close = difflib.get_close_matches(str(value)[:80].lower(), choices, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return InvalidOption(f"{name} {shown} is not {wanted}{hint}")
