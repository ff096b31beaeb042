"""Reads the ``target`` option: classes by index, id or label, the best few, and differences."""

import difflib
import json
from collections.abc import Sequence
from typing import NamedTuple

from gradcam.engine.targets import Difference, Target, Top, count_maps
from gradcam.errors import InvalidOption
from gradcam.labels import ClassList


def parse_targets(value: object, classes: ClassList, max_targets: int) -> tuple[Target, ...]:
    """Reads the ``target`` option.

    A text is split at commas (a text that is itself a JSON list is read as one, so that a label
    with a comma can be sent anywhere); each item is tried as a class index, a class id, a label in
    any letter case and ``topN``, in that order, and then as two classes with ``~`` between them.
    ``index:``, ``id:`` and ``label:`` force one, on either side of the ``~`` too.

    Raises:
        InvalidOption: Nothing of that name, an ambiguous label, a class against itself, or more
            than ``max_targets`` after expansion.
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
_MOST_TILDES = 8  # every one is tried as the one between the classes
_ALLOWED = (
    "a class index, a class id, a label, topN such as top3, two classes such as cat~dog, or "
    "several of them (a JSON list, or separated by commas)"
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


class _Found(NamedTuple):
    """The classes that a text names: none, one or, where a name repeats, several."""

    what: str  # index, id or label
    name: str
    indices: Sequence[int]


def _parse_item(item: object, classes: ClassList) -> Target:
    if isinstance(item, int) and not isinstance(item, bool):
        return _class(str(item), classes)
    if not isinstance(item, str) or not item.strip():
        raise InvalidOption(f"target {_shown(item)} is not {_ALLOWED}")
    text = item.strip()
    if _look_up(text, classes).indices:
        return _class(text, classes)
    return _top(text) or _difference(text, classes) or _class(text, classes)


def _look_up(text: str, classes: ClassList) -> _Found:
    prefix, colon, rest = text.partition(":")
    rest = rest.strip()
    if colon and prefix == "index":
        return _Found("index", rest, _index(rest, classes))
    if colon and prefix == "id":
        return _Found("id", rest, classes.by_id.get(rest, ()))
    if colon and prefix == "label":
        return _Found("label", rest, classes.by_label.get(rest.casefold(), ()))
    if found := _index(text, classes):
        return _Found("index", text, found)
    if found := classes.by_id.get(text, ()):
        return _Found("id", text, found)
    return _Found("label", text, classes.by_label.get(text.casefold(), ()))


def _index(text: str, classes: ClassList) -> tuple[int, ...]:
    return (int(text),) if _is_index(text) and int(text) < len(classes) else ()


def _is_index(text: str) -> bool:
    # int() would read other scripts' digits too, and take long over a long text
    return text.isascii() and text.isdecimal() and len(text) <= 9


def _class(text: str, classes: ClassList) -> int:
    """The one class that a text names.

    Raises:
        InvalidOption: It names none, or several.
    """
    what, name, indices = _look_up(text, classes)
    if not indices:
        raise _unknown(what, name, classes)
    if len(indices) > 1:
        choices = ", ".join(
            f"id:{classes[index].id}" if what == "label" and classes[index].id else f"index:{index}"
            for index in indices[:8]
        )
        raise InvalidOption(
            f"target {what} {_shown(name)} names {len(indices)} classes; say which: {choices}"
        )
    return indices[0]


def _difference(text: str, classes: ClassList) -> Difference | None:
    """Two classes with ``~`` between them; ``None`` where there is no ``~``.

    Either label may have a ``~`` of its own, so each is tried.
    """
    parts = text.split("~", _MOST_TILDES + 1)
    if not 1 < len(parts) <= _MOST_TILDES + 1:
        return None
    cuts = [
        ("~".join(parts[:cut]).strip(), "~".join(parts[cut:]).strip())
        for cut in range(1, len(parts))
    ]
    known = [cut for cut in cuts if all(_look_up(side, classes).indices for side in cut)]
    if len(known) > 1:
        raise InvalidOption(
            f"target {_shown(text)} can be read as {len(known)} differences of two classes; give "
            "the classes by index or id"
        )
    sides = known[0] if known else cuts[0]
    for side in sides:
        if not side or (_top(side) and not _look_up(side, classes).indices):
            raise InvalidOption(
                f"target {_shown(text)} is not a difference of two classes: {_shown(side)} is not "
                "a class; give an index, an id or a label on both sides of the ~"
            )
    index, versus = (_class(side, classes) for side in sides)
    if index == versus:
        raise InvalidOption(
            f"target {_shown(text)} sets class {index} against itself; give two classes"
        )
    return Difference(index, versus)


def _top(text: str) -> Top | None:
    if not text.casefold().startswith("top") or not _is_index(text[3:]):
        return None
    if int(text[3:]) == 0:
        raise InvalidOption("target top0 asks for no map; give top1 or more")
    return Top(int(text[3:]))


def _unknown(what: str, name: str, classes: ClassList) -> InvalidOption:
    if what == "index" or name.removeprefix("-").isdecimal():
        return InvalidOption(
            f"target index {_shown(name)} does not exist; "
            f"this model's classes are 0 to {len(classes) - 1}"
        )
    by_folded = {
        known.casefold(): known
        for one in classes.names
        for known in (one.id, one.label)
        if known is not None
    }
    close = difflib.get_close_matches(name[:80].casefold(), by_folded, n=3, cutoff=0.5)
    hint = f"the closest are {', '.join(by_folded[one] for one in close)}" if close else None
    return InvalidOption(
        f"target {_shown(name)} is not a class of this model; {hint or f'give {_ALLOWED}'}"
    )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
