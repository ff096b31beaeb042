"""What to explain: target specifications, and the class indices that they mean for one picture."""

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gradcam.errors import InvalidOption
from gradcam.labels import ClassList


@dataclass(frozen=True)
class Top:
    """The ``count`` classes with the greatest logits, whichever they are."""

    count: int


Target = int | Top
"""A class index, or the best few of the picture's own."""


def greatest(logits: Tensor, count: int) -> list[int]:
    """The class indices of the greatest logits, best first, of equals the lower index.

    Args:
        logits: ``[C]``.
        count: Cut at the number of classes.
    """
    order: list[int] = torch.sort(logits, descending=True, stable=True).indices.tolist()
    return order[:count]


def resolve_targets(targets: Sequence[Target], logits: Tensor) -> tuple[int, ...]:
    """Turns targets into class indices for one picture, in order, duplicates once.

    Args:
        targets: Class indices and :class:`Top`.
        logits: ``[C]``, of that picture.

    Raises:
        ValueError: There is no such class.
    """
    indices: dict[int, None] = {}
    for target in targets:
        if isinstance(target, Top):
            indices.update(dict.fromkeys(greatest(logits, target.count)))
        elif 0 <= target < logits.numel():
            indices[target] = None
        else:
            raise ValueError(f"there is no class {target}; there are {logits.numel()}")
    return tuple(indices)


def count_maps(targets: Sequence[Target], classes: int) -> int:
    """How many maps targets may mean for one picture."""
    return sum(min(target.count, classes) if isinstance(target, Top) else 1 for target in targets)


def parse_targets(value: object, classes: ClassList, max_targets: int) -> tuple[Target, ...]:
    """Reads the ``target`` option.

    A text is split at commas (a text that is itself a JSON list is read as one, so that a label
    with a comma can be sent anywhere); each item is tried as a class index, a class id, a label in
    any letter case and ``topN``, in that order. ``index:``, ``id:`` and ``label:`` force one.

    Raises:
        InvalidOption: Nothing of that name, an ambiguous label, or more than ``max_targets`` after
            expansion.
    """
    items = _items(value)
    if len(items) > _MOST_ITEMS:
        raise InvalidOption(f"target lists {len(items)} classes; at most {_MOST_ITEMS} are read")
    targets = tuple(dict.fromkeys(_parse_item(item, classes) for item in items))
    if not targets:
        raise InvalidOption(f"target is empty; give {_ALLOWED}")
    if (maps := count_maps(targets, len(classes))) > max_targets:
        raise InvalidOption(
            f"target asks for {maps} maps; at most {max_targets} are answered per picture"
        )
    return targets


_MOST_ITEMS = 1000  # duplicates are answered once, so there may be more than maps
_MOST_CHARACTERS = 100_000
_ALLOWED = (
    "a class index, a class id, a label, topN such as top3, or several of them "
    "(a JSON list, or separated by commas)"
)


def _items(value: object) -> list[object]:
    if isinstance(value, str) and len(value) > _MOST_CHARACTERS:
        raise InvalidOption(f"target is a text of {len(value):,} characters; give {_ALLOWED}")
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise InvalidOption(f"target is not a JSON list; give {_ALLOWED}") from None
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return list(value) if isinstance(value, list) else [value]


def _parse_item(item: object, classes: ClassList) -> Target:
    if isinstance(item, int) and not isinstance(item, bool):
        return _index(str(item), classes)
    if not isinstance(item, str) or not item.strip():
        raise InvalidOption(f"target {_shown(item)} is not {_ALLOWED}")
    text = item.strip()
    prefix, _, rest = text.partition(":")
    match prefix:
        case "index":
            return _index(rest.strip(), classes)
        case "id":
            return _named(rest.strip(), "id", classes.by_id.get(rest.strip(), ()), classes)
        case "label":
            found = classes.by_label.get(rest.strip().casefold(), ())
            return _named(rest.strip(), "label", found, classes)
    if _is_index(text) and int(text) < len(classes):
        return int(text)
    if found := classes.by_id.get(text, ()):
        return _named(text, "id", found, classes)
    if found := classes.by_label.get(text.casefold(), ()):
        return _named(text, "label", found, classes)
    return _top(text) or _unknown(text, classes)


def _is_index(text: str) -> bool:
    # int() would read other scripts' digits too, and take long over a long text
    return text.isascii() and text.isdecimal() and len(text) <= 9


def _index(text: str, classes: ClassList) -> int:
    if not _is_index(text) or int(text) >= len(classes):
        raise InvalidOption(
            f"target index {_shown(text)} does not exist; "
            f"this model's classes are 0 to {len(classes) - 1}"
        )
    return int(text)


def _named(text: str, what: str, found: Sequence[int], classes: ClassList) -> int:
    if not found:
        return _unknown(text, classes)
    if len(found) > 1:
        choices = ", ".join(
            f"id:{classes[index].id}" if what == "label" and classes[index].id else f"index:{index}"
            for index in found[:8]
        )
        raise InvalidOption(
            f"target {what} {_shown(text)} names {len(found)} classes; say which: {choices}"
        )
    return found[0]


def _top(text: str) -> Top | None:
    if not text.casefold().startswith("top") or not _is_index(text[3:]):
        return None
    if int(text[3:]) == 0:
        raise InvalidOption("target top0 asks for no map; give top1 or more")
    return Top(int(text[3:]))


def _unknown(text: str, classes: ClassList) -> int:
    if _is_index(text):
        return _index(text, classes)
    by_folded = {
        known.casefold(): known
        for name in classes.names
        for known in (name.id, name.label)
        if known is not None
    }
    close = difflib.get_close_matches(text[:80].casefold(), by_folded, n=3, cutoff=0.5)
    hint = f"the closest are {', '.join(by_folded[name] for name in close)}" if close else None
    raise InvalidOption(
        f"target {_shown(text)} is not a class of this model; {hint or f'give {_ALLOWED}'}"
    )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
