"""One request's answer: from its outcomes to a status, a content type and bytes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from PIL import Image

from gradcam import document, render
from gradcam.document import ModelCard
from gradcam.errors import GradcamError, TooLarge
from gradcam.explanation import Outcome, RawMap
from gradcam.geometry import View
from gradcam.labels import ClassList
from gradcam.options import Options
from gradcam.settings import Limits
from gradcam.targets import greatest

JSON = "application/json"


@dataclass(frozen=True)
class Response:
    """What goes back to one client.

    Attributes:
        status: The HTTP status.
        content_type: Of the body.
        body: Bytes, final.
    """

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True)
class Subject:
    """One picture of a request, ready to be answered about.

    Attributes:
        width: Of the upright picture, in pixels.
        height: Likewise.
        view: What the network saw of it.
        canvas: The picture as pictures in the answer show it, at most ``max_side`` long; ``None``
            where none shows it.
        options: The request's.
    """

    width: int
    height: int
    view: View
    canvas: Image.Image | None
    options: Options


@dataclass(frozen=True)
class Writer:
    """Writes the answers of one model."""

    model: ModelCard
    classes: ClassList
    limits: Limits

    def predictions(
        self, subjects: Sequence[Subject], outcomes: Sequence[Outcome], *, wrapped: bool
    ) -> Response:
        """The answer of ``/predictions``.

        Raises:
            TooLarge: The answer is beyond the limit.
        """
        documents = [
            self._full(subject, outcome)
            if subject.options.detail == "full"
            else document.label_probabilities(outcome.logits, subject.options.top_k, self.classes)
            for subject, outcome in zip(subjects, outcomes, strict=True)
        ]
        return self._respond({"predictions": documents} if wrapped else documents[0])

    def explanations(
        self, subjects: Sequence[Subject], outcomes: Sequence[Outcome], *, wrapped: bool
    ) -> Response:
        """The answer of ``/explanations`` as JSON.

        Raises:
            TooLarge: The answer is beyond the limit.
        """
        budget = _Budget(self.limits.max_answer_bytes)
        documents = [
            {
                **self._full(subject, outcome),
                "explanations": self._explanations(subject, outcome, budget),
            }
            for subject, outcome in zip(subjects, outcomes, strict=True)
        ]
        return self._respond({"explanations": documents} if wrapped else documents[0])

    def picture(self, subject: Subject, outcome: Outcome, picture_type: str) -> Response:
        """The answer of ``/explanations`` as a picture: the overlays side by side, in order.

        Raises:
            TooLarge: The answer is beyond the limit.
        """
        panels = render.beside([_overlay(subject, raw) for raw in outcome.maps])
        data = _encode(panels, picture_type)
        self._check(len(data))
        return Response(200, render.PICTURE_TYPES[picture_type], data)

    def _full(self, subject: Subject, outcome: Outcome) -> dict[str, Any]:
        probabilities = document.probabilities_of(outcome.logits)
        return {
            "model": asdict(self.model),
            "image": {"width": subject.width, "height": subject.height},
            "predictions": [
                document.class_entry(index, outcome.logits, probabilities, self.classes)
                for index in greatest(outcome.logits, subject.options.top_k)
            ],
        }

    def _explanations(
        self, subject: Subject, outcome: Outcome, budget: "_Budget"
    ) -> list[dict[str, Any]]:
        probabilities = document.probabilities_of(outcome.logits)
        return [
            {
                **document.class_entry(raw.index, outcome.logits, probabilities, self.classes),
                "method": raw.method,
                "layer": raw.layer,
                **_shown(subject, raw, budget),
            }
            for raw in outcome.maps
        ]

    def _respond(self, answer: object) -> Response:
        body = document.to_json(answer)
        self._check(len(body))
        return Response(200, JSON, body)

    def _check(self, size: int) -> None:
        if size > self.limits.max_answer_bytes:
            raise _too_large(size, self.limits.max_answer_bytes)


def refusal(error: GradcamError) -> Response:
    """The answer to a request that went wrong."""
    body = {"code": error.status, "type": error.kind, "message": error.message}
    return Response(error.status, JSON, document.to_json(body))


class _Budget:
    """Bytes of pictures that one answer may still take, so that it ends early when it must."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._spent = 0

    def spend(self, size: int) -> None:
        self._spent += size
        if self._spent > self._limit:
            raise _too_large(self._spent, self._limit)


def _too_large(size: int, limit: int) -> TooLarge:
    return TooLarge(
        f"the answer has at least {size:,} bytes; at most {limit:,} are sent: lower max_side or "
        "top_k, ask for fewer targets, or for overlay jpeg and heatmap grid or none"
    )


def _shown(subject: Subject, raw: RawMap, budget: _Budget) -> dict[str, Any]:
    """The map and its pictures, as the options want them."""
    options = subject.options
    entry: dict[str, Any] = {}
    if options.heatmap != "none":
        entry["heatmap"] = document.heatmap_entry(raw, subject.view.region)
    if options.heatmap == "grid":
        entry["heatmap"]["values"] = document.heatmap_values(raw)
    if options.heatmap == "png":
        grey = _grey_map(subject, raw)
        budget.spend(len(grey) * 4 // 3)
        entry["heatmap"] |= document.encoded_entry(render.PICTURE_TYPES["png"], grey)
    if options.overlay != "none":
        data = _encode(_overlay(subject, raw), options.overlay)
        budget.spend(len(data) * 4 // 3)
        entry["overlay"] = document.encoded_entry(render.PICTURE_TYPES[options.overlay], data)
    return entry


def _overlay(subject: Subject, raw: RawMap) -> render.Pixels:
    canvas = _canvas(subject)
    across, down = canvas.width / subject.width, canvas.height / subject.height
    return render.overlay(
        canvas,
        document.grid_of(raw),
        subject.view.region.scaled(across, down),
        subject.options.colormap,
        subject.options.alpha,
        subject.view.part.region.scaled(across, down),
    )


def _grey_map(subject: Subject, raw: RawMap) -> bytes:
    width, height = render.fit(subject.width, subject.height, subject.options.max_side)
    across, down = width / subject.width, height / subject.height
    levels = render.grey_map(
        document.grid_of(raw),
        subject.view.region.scaled(across, down),
        width,
        height,
        subject.view.part.region.scaled(across, down),
    )
    return _encode(levels, "png")


def _canvas(subject: Subject) -> Image.Image:
    if subject.canvas is None:
        raise ValueError("an overlay was asked for, but the picture was not kept")
    return subject.canvas


def _encode(pixels: render.Pixels, picture_type: str) -> bytes:
    try:
        return render.encode(pixels, picture_type)
    except ValueError as error:
        raise TooLarge(f"{error}; lower max_side or ask for fewer targets") from None
