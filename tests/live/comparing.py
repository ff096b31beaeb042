"""Whether two answers say the same."""

import math
from typing import Any


def differences(found: Any, expected: Any, tolerance: float = 1e-5, where: str = "") -> list[str]:
    """Every place where two documents differ; numbers may, by ``tolerance`` of the expected one.

    A share of a value near zero would be stricter than float32 is, so that numbers below 1 are
    compared by the difference itself.
    """
    if isinstance(expected, dict) and isinstance(found, dict):
        if list(found) != list(expected):
            return [f"{where}: keys {list(found)} for {list(expected)}"]
        pairs = [(found[key], expected[key], f"{where}.{key}") for key in expected]
    elif isinstance(expected, list) and isinstance(found, list):
        if len(found) != len(expected):
            return [f"{where}: {len(found)} entries for {len(expected)}"]
        pairs = [
            (one, other, f"{where}[{number}]")
            for number, (one, other) in enumerate(zip(found, expected, strict=True))
        ]
    elif isinstance(expected, float) and isinstance(found, int | float):
        close = math.isclose(found, expected, rel_tol=tolerance, abs_tol=tolerance)
        return [] if close else [f"{where}: {found} for {expected}"]
    else:
        return [] if found == expected else [f"{where}: {found!r:.200} for {expected!r:.200}"]
    return [
        line for one, other, place in pairs for line in differences(one, other, tolerance, place)
    ]
