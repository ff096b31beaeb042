"""jsonschema's errors in our words."""

from collections.abc import Iterator
from typing import Any

from jsonschema.exceptions import ValidationError, best_match
from jsonschema.protocols import Validator

from manifests.resource import Finding


def findings_of(
    validator: Validator, value: Any, resource: str, place: str = "", version: str = ""
) -> Iterator[Finding]:
    """A finding for each error of a value.

    Args:
        validator: Of its schema.
        value: The value.
        resource: The resource that it is in, as ``Kind/name``.
        place: Where in that.
        version: The Kubernetes version of the schema.
    """
    for error in validator.iter_errors(value):
        yield Finding(resource, _join(place, error), _message(error), version)


def _join(place: str, error: ValidationError) -> str:
    path = place
    for part in error.absolute_path:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path


def _message(error: ValidationError) -> str:
    if error.validator in ("anyOf", "oneOf") and error.context:
        chosen = best_match(error.context)
        error = chosen if isinstance(chosen, ValidationError) else error
    message = str(error.message)
    return message if len(message) <= 300 else f"{message[:300]}…"
