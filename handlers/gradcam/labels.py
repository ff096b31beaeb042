"""The classes of a model: index, id (the synset, where there is one) and label."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gradcam.errors import SettingsError


@dataclass(frozen=True)
class ClassName:
    """One class.

    Attributes:
        index: Its place among the logits.
        id: Its stable identifier, such as ImageNet's ``n02504458``; ``None`` where there is none.
        label: What a person calls it.
    """

    index: int
    id: str | None
    label: str


@dataclass(frozen=True)
class ClassList:
    """All classes of a model, in the order of its logits."""

    names: tuple[ClassName, ...]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> ClassName:
        return self.names[index]

    @cached_property
    def by_id(self) -> Mapping[str, tuple[int, ...]]:
        """Class indices by id."""
        return _positions([name.id for name in self.names])

    @cached_property
    def by_label(self) -> Mapping[str, tuple[int, ...]]:
        """Class indices by case-folded label."""
        return _positions([name.label.casefold() for name in self.names])

    @cached_property
    def unique_labels(self) -> tuple[str, ...]:
        """One key per class for ``{label: probability}``: none is lost when labels repeat.

        A label that occurs once stands alone; one that occurs more often gets its id behind it,
        or its index where there is no id, and its index after that where the key is taken too.
        """
        labels = Counter(name.label for name in self.names)
        taken = {label for label, count in labels.items() if count == 1}
        keys = []
        for name in self.names:
            key = name.label
            if labels[key] > 1:
                key = f"{name.label} ({name.id if name.id is not None else name.index})"
                while key in taken:
                    key = f"{key} ({name.index})"
                taken.add(key)
            keys.append(key)
        return tuple(keys)


def _positions(keys: Sequence[str | None]) -> Mapping[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for index, key in enumerate(keys):
        if key is not None:
            found[key] = (*found.get(key, ()), index)
    return found


def parse_class_names(document: object, num_classes: int) -> ClassList:
    """Reads a parsed ``index_to_name.json`` in every form that TorchServe accepts.

    The forms are ``{"0": "cat"}``, ``{"0": ["n02123045", "tabby"]}`` (first the id, last the
    label) and ``{"object_type_names": ["cat", "dog"]}``. A class that the file does not name is
    called by its index.

    Args:
        document: The parsed JSON.
        num_classes: How many logits the model has.

    Raises:
        SettingsError: The document has none of these forms, or names a class that the model does
            not have.
    """
    if not isinstance(document, Mapping):
        raise SettingsError(f'class names must be a JSON object like {{"0": "cat"}}, {_FORMS}')
    listed = document.get("object_type_names")
    if isinstance(listed, Sequence) and not isinstance(listed, str):
        entries = {str(index): value for index, value in enumerate(listed)}
    else:
        entries = dict(document)
    named: dict[int, ClassName] = {}
    for key, value in entries.items():
        index = int(key) if isinstance(key, str) and key.isdecimal() else -1
        if not 0 <= index < num_classes:
            raise SettingsError(
                f"class names: {key!r} is not a class index from 0 to {num_classes - 1}; {_FORMS}"
            )
        named[index] = _class_name(index, value)
    return ClassList(
        tuple(named.get(index, ClassName(index, None, str(index))) for index in range(num_classes))
    )


_FORMS = (
    'the forms are {"0": "cat"}, {"0": ["n02123045", "tabby"]} and {"object_type_names": ["cat"]}'
)


def _class_name(index: int, value: object) -> ClassName:
    if isinstance(value, str):
        return ClassName(index, None, value)
    parts = list(value) if isinstance(value, Sequence) else []
    if not parts or not isinstance(parts[-1], str):  # TorchServe looks at the last one only
        raise SettingsError(f"class names: class {index} is {value!r}; {_FORMS}")
    return ClassName(index, str(parts[0]) if len(parts) > 1 else None, parts[-1])


def load_class_names(path: Path, num_classes: int) -> ClassList:
    """Reads ``index_to_name.json``; a missing file gives every class its index as its label.

    Raises:
        SettingsError: The file is not JSON, or see :func:`parse_class_names`.
    """
    if not path.exists():
        return parse_class_names({}, num_classes)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SettingsError(f"{path.name} is not JSON: {error}") from error
    return parse_class_names(document, num_classes)
