"""Single values of ``handler: gradcam:``, each checked by a function of its own.

All take the value and where it stands, for the sentence of the :class:`SettingsError` that a wrong
one raises.
"""

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from gradcam.errors import SettingsError

AUTO = "auto"


def section_of(section: object, where: str, schema: type) -> Mapping[str, Any]:
    """A mapping whose keys are the fields of a dataclass."""
    known = [field.name for field in fields(schema)]
    if not isinstance(section, Mapping):
        raise SettingsError(f"model-config.yaml: {where}: must be a mapping of {', '.join(known)}")
    for key in section:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1, cutoff=0.0)
            raise SettingsError(
                f"model-config.yaml: {where}: {key!r} is not an option; did you mean {close[0]!r}?"
            )
    return section


def keywords(value: object, where: str) -> Mapping[str, object]:
    """Keyword arguments, unchecked but for their names."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise wrong(where, value, "a mapping of keyword arguments")
    return dict(value)


def whole(value: object, where: str, lowest: int, highest: int) -> int:
    """A whole number within bounds, both included."""
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise wrong(where, value, f"a whole number from {lowest} to {highest}")
    return value


def flag(value: object, where: str) -> bool:
    """A truth value, which no number stands for."""
    if not isinstance(value, bool):
        raise wrong(where, value, "true or false")
    return value


def flag_or_auto(value: object, where: str) -> bool | None:
    """A truth value, or ``None`` for ``auto``."""
    if value == AUTO:
        return None
    if not isinstance(value, bool):
        raise wrong(where, value, "true, false or auto")
    return value


def text(value: object, where: str) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value:
        raise wrong(where, value, "a name")
    return value


def names(value: object, where: str) -> tuple[str, ...]:
    """One name or several different ones; ``None`` is none."""
    if value is None:
        return ()
    listed = value if isinstance(value, list | tuple) else [value]
    if not listed or not all(isinstance(name, str) and name for name in listed):
        raise wrong(where, value, "a name, or a list of names")
    if len(set(listed)) < len(listed):
        raise wrong(where, value, "a list of different names")
    return tuple(listed)


def output(value: object, where: str) -> str | int | None:
    """The name of an output or its place, counted from 0; ``None`` is to be found."""
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 100
    if value is None or whole or (isinstance(value, str) and value):
        return value  # type: ignore[return-value]  # which is what has just been checked
    raise wrong(where, value, "the name of an output, or its place, counted from 0")


def choice(value: object, where: str, choices: Sequence[str]) -> str:
    """One of several texts."""
    if value not in choices:
        raise wrong(where, value, f"one of {', '.join(choices)}")
    return str(value)


def size(value: object, where: str) -> tuple[int, int]:
    """``(height, width)`` in pixels, from two numbers or from one for both."""
    if isinstance(value, list | tuple) and len(value) == 2:
        return whole(value[0], where, 1, 4096), whole(value[1], where, 1, 4096)
    if isinstance(value, list | tuple):
        raise wrong(where, value, "a whole number from 1 to 4096, or [height, width]")
    side = whole(value, where, 1, 4096)
    return side, side


def three(value: object, where: str, *, positive: bool) -> tuple[float, float, float]:
    """One finite number per channel."""
    numbers = list(value) if isinstance(value, list | tuple) else []
    if len(numbers) != 3 or not all(
        isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
        for number in numbers
    ):
        raise wrong(where, value, "a list of three numbers")
    if positive and min(numbers) <= 0:
        raise wrong(where, value, "a list of three positive numbers")
    return float(numbers[0]), float(numbers[1]), float(numbers[2])


def wrong(where: str, value: object, wanted: str) -> SettingsError:
    """The error that a value is not what is wanted."""
    return SettingsError(f"model-config.yaml: {where}: {value!r} is not {wanted}")
