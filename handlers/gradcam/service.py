"""The walk of a batch: requests in, responses out, each with its own fate. No ``ts`` here.

    row, headers --wire--> pictures, options --picture, preprocess--> rows of one batch
    --engine--> logits and maps --answer--> bytes

What goes wrong with a request is answered to that request alone.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gradcam import document, render
from gradcam.allowance import Allowance, count_maps
from gradcam.answer import JSON, Response, Subject, Writer, refusal
from gradcam.document import ModelCard
from gradcam.engine import Ask, Explainer, Outcome, out_of_time
from gradcam.errors import (
    EngineFault,
    GradcamError,
    InvalidOption,
    MalformedRequest,
    UnusableLayer,
)
from gradcam.geometry import part_of, plan_view
from gradcam.labels import ClassList
from gradcam.options import Vocabulary, parse_options
from gradcam.picture import decode_picture
from gradcam.preprocess import normalise, show
from gradcam.settings import Settings
from gradcam.wire import Incoming, Instance, is_describe, read_request

logger = logging.getLogger(__name__)

Request = tuple[Mapping[str, object], Mapping[str, object]]
"""A row and its headers, as TorchServe has them."""


@dataclass(frozen=True)
class _Row:
    """One picture of one request, ready for the network."""

    subject: Subject
    pixels: Tensor
    ask: Ask | None
    turn: int = 0  # its place among the pictures of its request


@dataclass(frozen=True)
class _Prepared:
    """A request whose pictures and options are sound."""

    incoming: Incoming
    rows: tuple[_Row, ...]


class Service:
    """A loaded model that answers batches. It keeps nothing between them."""

    def __init__(
        self, explainer: Explainer, settings: Settings, classes: ClassList, model: ModelCard
    ) -> None:
        """Checks that the settings fit the network.

        Raises:
            UnusableLayer: The settings' default layer cannot be used.
        """
        layers = explainer.layers
        named = layers.choose(settings.layer).name if settings.layer else layers.default
        self._explainer = explainer
        self._settings = settings
        self._writer = Writer(model, classes, settings.limits)
        self._vocabulary = Vocabulary(
            classes, layers, named, settings.method, settings.limits.max_targets
        )

    def answer(self, requests: Sequence[Request]) -> list[Response]:
        """Answers a batch with one forward pass (in chunks), one response for each request."""
        deadline = time.monotonic() + self._settings.limits.max_seconds
        prepared = [self._prepare(row, headers) for row, headers in requests]
        rows = [row for one in prepared if isinstance(one, _Prepared) for row in one.rows]
        outcomes = iter(self._run(rows, deadline))
        return [
            self._finish(one, [next(outcomes) for _ in one.rows])
            if isinstance(one, _Prepared)
            else one
            for one in prepared
        ]

    def describe(self) -> Response:
        """What the management API tells of the model."""
        writer, vocabulary = self._writer, self._vocabulary
        told = document.description(
            writer.model,
            self._settings,
            writer.classes,
            vocabulary.layers,
            vocabulary.default_layer,
        )
        body = document.to_json(told)
        if len(body) > self._settings.limits.max_answer_bytes:  # it would kill the worker
            body = document.to_json(
                {**told, "classes": [], "classes_left_out": len(told["classes"])}
            )
        return Response(200, JSON, body)

    def _prepare(
        self, row: Mapping[str, object], headers: Mapping[str, object]
    ) -> _Prepared | Response:
        try:
            if is_describe(row, headers):
                return self.describe()
            incoming = read_request(row, headers, self._settings.limits)
            if incoming.accept and len(incoming.instances) > 1:
                raise InvalidOption(
                    "several instances cannot be answered with one picture; accept "
                    "application/json, or send one instance"
                )
            return _Prepared(incoming, self._read_rows(incoming))
        except GradcamError as error:
            return refusal(error)
        except RecursionError:  # JSON just shallow enough to be parsed, but not to be quoted
            return refusal(MalformedRequest("the request's JSON is nested too deeply"))
        except Exception:
            logger.exception("a request could not be read")
            return refusal(EngineFault("the request could not be read; the server's log says why"))

    def _read_rows(self, incoming: Incoming) -> tuple[_Row, ...]:
        left = Allowance(self._settings.limits)
        rows = []
        for number, instance in enumerate(incoming.instances):
            try:
                row = self._read_row(instance, incoming, left)
                rows.append(replace(row, turn=number))
            except GradcamError as error:
                if not incoming.wrapped:
                    raise
                raise type(error)(f"instances[{number}]: {error.message}") from error
        return tuple(rows)

    def _read_row(self, instance: Instance, incoming: Incoming, left: Allowance) -> _Row:
        options = parse_options(instance.options, self._vocabulary)
        if incoming.accept:
            options = replace(options, overlay=incoming.accept)
        if incoming.explain and options.layer is None:
            raise UnusableLayer(self._vocabulary.layers.why_no_default)
        picture = decode_picture(instance.picture, self._settings.limits.max_bytes, left.pixels)
        left.decode(picture.width, picture.height)
        view = plan_view(part_of(picture.frame, options.crop), self._settings.preprocessing)
        drawn = incoming.explain and options.overlay != "none"
        if incoming.explain:
            layer = self._vocabulary.layers.choose(options.layer)
            kinds = drawn + (options.heatmap == "png" and not incoming.accept)
            size = render.fit(picture.width, picture.height, options.max_side)
            maps = count_maps(options.target, len(self._vocabulary.classes))
            left.draw(size, maps * kinds)
            if options.heatmap == "grid" and not incoming.accept:
                left.write(maps * layer.height * layer.width)
        return _Row(
            Subject(
                picture.width,
                picture.height,
                view,
                render.shrink(picture.image, options.max_side) if drawn else None,
                options,
            ),
            show(picture.image, view, self._settings.preprocessing.interpolation),
            Ask(options.target, options.method, options.layer) if incoming.explain else None,
        )

    def _run(self, rows: Sequence[_Row], deadline: float) -> list[Outcome | GradcamError]:
        """Computes all rows in chunks, every request's first picture before any second.

        When time is up only first pictures are computed still, so that a request of many pictures
        costs itself its answer and not its batch-mates.
        """
        outcomes: dict[int, Outcome | GradcamError] = {}
        order = sorted(range(len(rows)), key=lambda number: rows[number].turn)
        size = self._settings.limits.max_rows
        for chunk in (order[start : start + size] for start in range(0, len(order), size)):
            late = time.monotonic() > deadline
            dropped = [number for number in chunk if late and rows[number].turn]
            outcomes |= dict.fromkeys(dropped, out_of_time())
            kept = [number for number in chunk if number not in dropped]
            computed = self._run_chunk([rows[number] for number in kept], deadline)
            outcomes |= dict(zip(kept, computed, strict=True))
        return [outcomes[number] for number in range(len(rows))]

    def _run_chunk(self, rows: Sequence[_Row], deadline: float) -> list[Outcome | GradcamError]:
        """Halves a chunk that fails until the rows that make it fail stand alone."""
        if not rows:
            return []
        try:
            batch = normalise(
                torch.stack([row.pixels for row in rows]),
                self._settings.preprocessing,
                self._explainer.device,
            )
            return self._explainer.run(batch, [row.ask for row in rows], deadline)
        except Exception as error:
            if len(rows) == 1:
                return [_as_fault(error)]
            logger.warning("a chunk of %d pictures failed (%s); halving it", len(rows), error)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        middle = len(rows) // 2
        halves = (rows[:middle], rows[middle:])
        return [outcome for half in halves for outcome in self._run_chunk(half, deadline)]

    def _finish(self, prepared: _Prepared, results: Sequence[Outcome | GradcamError]) -> Response:
        incoming, subjects = prepared.incoming, [row.subject for row in prepared.rows]
        try:
            outcomes = [_checked(result) for result in results]
            if not incoming.explain:
                return self._writer.predictions(subjects, outcomes, wrapped=incoming.wrapped)
            if incoming.accept:
                return self._writer.picture(subjects[0], outcomes[0], incoming.accept)
            return self._writer.explanations(subjects, outcomes, wrapped=incoming.wrapped)
        except GradcamError as error:
            return refusal(error)
        except Exception:
            logger.exception("an answer could not be written")
            return refusal(
                EngineFault("the answer could not be written; the server's log says why")
            )


def _checked(result: Outcome | GradcamError) -> Outcome:
    if isinstance(result, GradcamError):
        raise result
    return result


def _as_fault(error: Exception) -> GradcamError:
    if isinstance(error, GradcamError):
        return error
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        logger.error("out of memory for a single picture: %s", error)
        return EngineFault("the serving device ran out of memory; try again later")
    logger.error("a picture could not be computed", exc_info=error)
    return EngineFault("the picture could not be computed; the server's log says why")
