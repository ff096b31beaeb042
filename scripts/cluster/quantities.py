"""Kubernetes' way to write amounts."""

_FACTORS = {
    "": 1.0,
    "n": 1e-9,  # what pods use is measured so
    "u": 1e-6,
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    "E": 1e18,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
    "Pi": 2.0**50,
    "Ei": 2.0**60,
}


def amount(quantity: str) -> float:
    """What ``500m``, ``2`` or ``2Gi`` stands for.

    Raises:
        ValueError: It is not written so.
    """
    number = quantity.rstrip("numkMGTPEi")
    unit = quantity[len(number) :]
    if unit not in _FACTORS:
        raise ValueError(f"{quantity} is no quantity")
    return float(number) * _FACTORS[unit]
