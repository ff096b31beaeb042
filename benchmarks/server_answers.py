"""Whether all contenders say the same of the same photographs, before any of them is timed."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from server_contenders import Contender

from load import Shot

TIE = 0.02
"""Of the best probability, by which another class's may differ and be taken for as good: some
resize with Pillow and some with torch, and pixels then differ by a grey level."""

_TIMEOUT = 600.0  # seconds


class DisagreementError(Exception):
    """A contender says something else than it should; the message is a sentence."""


@dataclass(frozen=True)
class Said:
    """What an answer says.

    Attributes:
        probabilities: By label, of the classes listed; empty where none are.
        shape: The map's; empty where there is none.
    """

    probabilities: Mapping[str, float]
    shape: tuple[int, ...]

    @property
    def best(self) -> str | None:
        """The label of the best class, if one is named."""
        return max(self.probabilities, key=lambda label: self.probabilities[label], default=None)

    def agrees(self, other: "Said") -> bool:
        """Whether the other's best class is the best here too, or as good."""
        if self.best is None or other.best is None:
            return True
        least = (1 - TIE) * self.probabilities[self.best]
        return self.probabilities.get(other.best, 0.0) >= least


def read(body: bytes) -> Said:
    """Reads an answer of any contender.

    Raises:
        ValueError: It is none.
    """
    document = json.loads(body)
    if isinstance(document, list):  # TorchServe's own explanations: numbers and nothing else
        return Said({}, _shape(document))
    if not isinstance(document, dict) or not document:
        raise ValueError(f"{body[:100]!r} is not an answer")
    if "predictions" not in document:
        return Said(document, ())
    listed: Any = document["predictions"]
    if isinstance(listed, dict):  # the handlers around other libraries
        return Said(listed, _shape(document.get("heatmap", [])))
    told = {entry["label"]: float(entry["probability"]) for entry in listed}
    return Said(told, _shape(document["explanations"][0]["heatmap"]["values"]))


def _shape(numbers: Any) -> tuple[int, ...]:
    return (len(numbers), *_shape(numbers[0])) if isinstance(numbers, list) and numbers else ()


def ask(shot: Shot) -> Said:
    """Sends one request.

    Raises:
        DisagreementError: It was not answered with a 2xx, or with something that is no answer.
    """
    request = urllib.request.Request(shot.url, shot.body, dict(shot.headers), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
            return read(answer.read())
    except urllib.error.HTTPError as error:
        raise DisagreementError(
            f"{shot.url} answers {error.code}: {error.read()[:300]!r}"
        ) from error
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise DisagreementError(f"{shot.url} does not answer as expected: {error}") from error


def compare(
    model: str,
    said: Sequence[tuple[Contender, Sequence[Said]]],
    approximate: Sequence[str],
) -> Iterator[str]:
    """Tells how far contenders agree with the first of them.

    Args:
        model: The architecture.
        said: What each said of the same photographs, the one that the others are held to first.
        approximate: Handlers that compute in a lower precision, and so may name other classes.

    Yields:
        Sentences.

    Raises:
        DisagreementError: A contender in full precision names another class, or maps differ in
            shape from photograph to photograph or, of one kind, from contender to contender.
    """
    first, expected = said[0]
    shapes: dict[str, tuple[int, ...]] = {}
    exact = 0
    for contender, answers in said:
        pairs = list(zip(expected, answers, strict=True))
        wrong = [number for number, pair in enumerate(pairs) if not pair[0].agrees(pair[1])]
        what = f"{model}: of {len(answers)} photographs {contender.name}"
        if contender.handler in approximate:
            yield f"{what} names another class than {first.name} for {len(wrong)}"
        elif wrong:
            mine, theirs = pairs[wrong[0]]
            raise DisagreementError(
                f"{what} names another class than {first.name} for {len(wrong)}, such as "
                f"{theirs.best} instead of {mine.best} for number {wrong[0] + 1}"
            )
        else:
            exact += any(one.best is not None for one in answers)
        _check_shapes(model, contender, answers, shapes)
    yield f"{model}: {exact} contenders in float32 name the same best classes"


def _check_shapes(
    model: str,
    contender: Contender,
    answers: Sequence[Said],
    shapes: dict[str, tuple[int, ...]],
) -> None:
    """One shape for one kind of map: a layer's grid, or numbers of the input's size."""
    for one in answers:
        if not one.shape:
            continue
        known = shapes.setdefault(contender.map_of, one.shape)
        if one.shape != known:
            raise DisagreementError(
                f"{model}: {contender.name} gives {contender.map_of} of {one.shape}, where "
                f"others are of {known}"
            )
