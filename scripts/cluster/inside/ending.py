"""Makes the file whose appearance ends a load."""

from pathlib import Path
from typing import Any


def main(arguments: list[str]) -> dict[str, Any]:
    """Argument: the file."""
    Path(arguments[0]).touch()
    return {}
