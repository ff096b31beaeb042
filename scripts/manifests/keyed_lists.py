"""``x-kubernetes-list-map-keys``: in some lists no two items may have the same keys."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend


def with_keyed_lists(validator: type[Validator]) -> type[Validator]:
    """A validator class that knows the keyword too."""
    keywords = {"x-kubernetes-list-map-keys": _unique}
    extended: type[Validator] = extend(validator, keywords)  # type: ignore[no-untyped-call]
    return extended


def _unique(
    _validator: Validator, keys: list[str], value: Any, _schema: Any
) -> Iterator[ValidationError]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        return
    # the default of the one key that manifests leave out
    found = Counter(
        tuple(str(item.get(key, "TCP" if key == "protocol" else "")) for key in keys)
        for item in value
    )
    for twice in (one for one, times in found.items() if times > 1):
        named = ", ".join(f"{key} {part}" for key, part in zip(keys, twice, strict=True))
        yield ValidationError(f"there are several with {named}")
