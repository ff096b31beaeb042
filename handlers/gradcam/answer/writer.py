"""One request's answer: from its outcomes to a status, a content type and bytes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gradcam.answer import document, drawing
from gradcam.answer.document import ModelCard, Scores
from gradcam.answer.evidence import low_evidence, weigh
from gradcam.engine.explanation import Outcome, RawMap
from gradcam.engine.targets import greatest
from gradcam.errors import GradcamError, TooLarge
from gradcam.labels import ClassList
from gradcam.pictures import render
from gradcam.record import Told
from gradcam.request.subject import Subject
from gradcam.settings import Limits

JSON = "application/json"
_NOTHING = Told()


@dataclass(frozen=True)
class Response:
    """What goes back to one client.

    Attributes:
        status: The HTTP status.
        content_type: Of the body.
        body: Bytes, final.
        told: What it tells, as far as that is counted; not sent.
    """

    status: int
    content_type: str
    body: bytes
    told: Told = _NOTHING


@dataclass(frozen=True)
class Writer:
    """Writes the answers of one model.

    Attributes:
        model: What is said of it.
        classes: Its own.
        limits: On answers.
        activation: From logits to probabilities; one of
            :data:`gradcam.engine.probability.ACTIVATIONS`.
    """

    model: ModelCard
    classes: ClassList
    limits: Limits
    activation: str = "softmax"

    def predictions(
        self, subjects: Sequence[Subject], outcomes: Sequence[Outcome], *, wrapped: bool
    ) -> Response:
        """The answer of ``/predictions``.

        Raises:
            TooLarge: The answer is beyond the limit.
        """
        scores = self._scores(outcomes)
        documents = [
            self._full(subject, its)
            if subject.options.detail == "full"
            else document.label_probabilities(its, subject.options.top_k, self.classes)
            for subject, its in zip(subjects, scores, strict=True)
        ]
        told = Told(top_probability=_mean_top(scores))
        return self._respond({"predictions": documents} if wrapped else documents[0], told)

    def explanations(
        self, subjects: Sequence[Subject], outcomes: Sequence[Outcome], *, wrapped: bool
    ) -> Response:
        """The answer of ``/explanations`` as JSON.

        Raises:
            TooLarge: The answer is beyond the limit.
        """
        budget = _Budget(self.limits.max_answer_bytes)
        shared, scores = _shared_maximum(subjects, outcomes), self._scores(outcomes)
        documents = [
            {
                **self._full(subject, its),
                "explanations": self._explanations(
                    subject, outcome, its, shared if _is_shared(subject) else None, budget
                ),
            }
            for subject, outcome, its in zip(subjects, outcomes, scores, strict=True)
        ]
        entries = [entry for one in documents for entry in one["explanations"]]
        low = tuple(entry["evidence"]["low_evidence"] for entry in entries)
        told = Told(low_evidence=low, top_probability=_mean_top(scores))
        return self._respond({"explanations": documents} if wrapped else documents[0], told)

    def picture(self, subject: Subject, outcome: Outcome, picture_type: str) -> Response:
        """The answer of ``/explanations`` as a picture: the overlays side by side, in order.

        Raises:
            TooLarge: The answer is beyond the limit.
        """
        shared = _shared_maximum([subject], [outcome]) if _is_shared(subject) else None
        grids = [document.grid_of(raw, shared) for raw in outcome.maps]
        data = drawing.encode(drawing.panels(subject, grids), picture_type)
        self._check(len(data))
        # a picture has no place for these; both are cheap, unlike the rest of a map's evidence
        told = Told(
            low_evidence=tuple(low_evidence(raw.values, silent=raw.silent) for raw in outcome.maps),
            top_probability=_mean_top(self._scores([outcome])),
        )
        return Response(200, render.PICTURE_TYPES[picture_type], data, told)

    def _scores(self, outcomes: Sequence[Outcome]) -> list[Scores]:
        return [Scores.of(outcome.logits, self.activation) for outcome in outcomes]

    def _full(self, subject: Subject, scores: Scores) -> dict[str, Any]:
        return {
            "model": asdict(self.model),
            "image": {"width": subject.width, "height": subject.height},
            "predictions": [
                document.class_entry(index, scores, self.classes)
                for index in greatest(scores.logits, subject.options.top_k)
            ],
        }

    def _explanations(
        self,
        subject: Subject,
        outcome: Outcome,
        scores: Scores,
        shared: float | None,
        budget: "_Budget",
    ) -> list[dict[str, Any]]:
        return [
            {
                **document.goal_entry(raw, scores, self.classes),
                **document.asked_entry(raw, subject.options),
                **({} if shared is None else document.shared_entry(shared)),
                "evidence": _evidence(subject, raw),
                **_shown(subject, raw, shared, budget),
            }
            for raw in outcome.maps
        ]

    def _respond(self, answer: object, told: Told) -> Response:
        body = document.to_json(answer)
        self._check(len(body))
        return Response(200, JSON, body, told)

    def _check(self, size: int) -> None:
        if size > self.limits.max_answer_bytes:
            raise _too_large(size, self.limits.max_answer_bytes)


def refusal(error: GradcamError) -> Response:
    """The answer to a request that went wrong."""
    body = {"code": error.status, "type": error.kind, "message": error.message}
    return Response(error.status, JSON, document.to_json(body), Told(error.kind))


def _mean_top(scores: Sequence[Scores]) -> float | None:
    best = [one for each in scores if (one := each.top_probability) is not None]
    return sum(best) / len(best) if best else None


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


def _is_shared(subject: Subject) -> bool:
    return subject.options.scale == "shared"


def _shared_maximum(subjects: Sequence[Subject], outcomes: Sequence[Outcome]) -> float:
    """What all maps of an answer are divided by, but those that are to have their own scale."""
    pairs = zip(subjects, outcomes, strict=True)
    maps = (raw for subject, outcome in pairs if _is_shared(subject) for raw in outcome.maps)
    return max((raw.maximum for raw in maps), default=0.0)


def _evidence(subject: Subject, raw: RawMap) -> dict[str, Any]:
    evidence = weigh(
        raw.values,
        subject.view.region,
        subject.view.part.region,
        subject.options.threshold,
        silent=raw.silent,
    )
    entry = document.evidence_entry(evidence)
    if raw.parts:  # of shares between 0 and 1, whose scale and signs are the layers' own
        entry["positive_share"] = None
        entry["layers"] = document.parts_entry(raw)
    return entry


def _shown(subject: Subject, raw: RawMap, shared: float | None, budget: _Budget) -> dict[str, Any]:
    """The map and its pictures, as the options want them."""
    options, grid = subject.options, document.grid_of(raw, shared)
    entry: dict[str, Any] = {}
    if options.heatmap != "none":
        entry["heatmap"] = document.heatmap_entry(raw, subject.view.region)
    if options.heatmap == "grid":
        entry["heatmap"]["values"] = document.grid_entry(grid)
    if options.heatmap == "png":
        grey = drawing.encode(drawing.grey_map(subject, grid), "png")
        budget.spend(len(grey) * 4 // 3)
        entry["heatmap"] |= document.encoded_entry(render.PICTURE_TYPES["png"], grey)
    if options.overlay != "none":
        data = drawing.encode(drawing.overlay(subject, grid), options.overlay)
        budget.spend(len(data) * 4 // 3)
        entry["overlay"] = document.encoded_entry(render.PICTURE_TYPES[options.overlay], data)
    return entry
