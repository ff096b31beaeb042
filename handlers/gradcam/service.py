"""The walk of a batch: requests in, responses out, each with its own fate. No ``ts`` here.

    row, headers --intake--> rows of one batch --engine--> logits and maps --answer--> bytes

What goes wrong with a request is answered to that request alone.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import nn

from gradcam.answer import document
from gradcam.answer.description import description
from gradcam.answer.document import ModelCard
from gradcam.answer.writer import JSON, Response, Writer, refusal
from gradcam.chunks import Chunks
from gradcam.crew import Crew
from gradcam.engine.applicability import why_not
from gradcam.engine.arranging import PRECISIONS
from gradcam.engine.explainer import Explainer
from gradcam.engine.explanation import Ask, Outcome
from gradcam.engine.price import further_passes
from gradcam.errors import (
    EngineFault,
    GradcamError,
    MalformedRequest,
    SettingsError,
    UnusableLayer,
    out_of_time,
)
from gradcam.labels import ClassList
from gradcam.memory import used_bytes
from gradcam.record import BatchRecord, RequestRecord
from gradcam.request.intake import Intake, Prepared
from gradcam.request.options import Vocabulary
from gradcam.request.wire import api_of, is_describe
from gradcam.settings import Settings

logger = logging.getLogger(__name__)

_QUICKLY_DRAWN = 2 * 1600**2  # pixels that a late answer may have: two of default size

Request = tuple[Mapping[str, object], Mapping[str, object]]
"""A row and its headers, as TorchServe has them."""


def make_explainer(network: nn.Module, settings: Settings) -> Explainer:
    """A network's explainer as the settings want it; the network is cast and laid out in place.

    Raises:
        EngineFault: The network fails on pictures of the settings' size.
    """
    if settings.execution.compile:
        network = cast(nn.Module, torch.compile(network))
    return Explainer(
        network,
        settings.preprocessing.crop_size,
        output=settings.output,
        activation=settings.activation,
        rows=settings.limits.max_rows,
        dtype=PRECISIONS[settings.execution.precision],
        channels_last=settings.execution.channels_last,
    )


class Service:
    """A loaded model that answers batches. It keeps nothing between them."""

    def __init__(
        self,
        explainer: Explainer,
        settings: Settings,
        classes: ClassList,
        model: ModelCard,
        threads: int = 1,
    ) -> None:
        """Checks that the settings fit the network.

        Args:
            explainer: The network's.
            settings: The archive's.
            classes: Their names.
            model: What answers say of it.
            threads: In which the requests of a batch are read and answered.

        Raises:
            UnusableLayer: The settings' default layer cannot be used.
            SettingsError: The network has another number of classes.
        """
        layers = explainer.layers
        if layers.classes != len(classes):
            raise SettingsError(
                f"the network gives logits of {layers.classes} classes, and the settings have "
                f"{len(classes)}; num_classes must be the number of logits"
            )
        named = settings.layer or ((layers.default,) if layers.default else ())
        for layer in map(layers.choose, named):
            if reason := why_not(settings.method, layer):
                raise UnusableLayer(reason)
        self._explainer = explainer
        self._settings = settings
        self._writer = Writer(model, classes, settings.limits, settings.activation)
        self._vocabulary = Vocabulary(
            classes, layers, named, settings.method, settings.limits.max_targets
        )
        self._intake = Intake(settings, self._vocabulary)
        self._chunks = Chunks(explainer, settings.preprocessing, settings.limits.max_rows)
        self._crew = Crew(threads)

    def answer(self, requests: Sequence[Request]) -> list[Response]:
        """Answers a batch with one forward pass (in chunks), one response for each request.

        When time is up, requests that ask for much are refused, and those for little still done.
        """
        return self.answer_recorded(requests)[0]

    def answer_recorded(self, requests: Sequence[Request]) -> tuple[list[Response], BatchRecord]:
        """As :meth:`answer`, and what happened on the way."""
        begun = time.monotonic()
        deadline = begun + self._settings.limits.max_seconds
        prepared = self._crew.map(lambda request: self._prepare(*request, deadline), requests)
        rows = [row for one in prepared if isinstance(one, Prepared) for row in one.rows]
        read = time.monotonic()
        outcomes = iter(self._chunks.run(rows, deadline))
        computed = time.monotonic()
        results = [
            [next(outcomes) for _ in one.rows] if isinstance(one, Prepared) else []
            for one in prepared
        ]
        responses = self._finish_all(prepared, results)
        record = BatchRecord(
            requests=tuple(map(_recorded, requests, prepared, responses)),
            decode=read - begun,
            compute=computed - read if rows else None,
            render=time.monotonic() - computed if rows else None,
            device=str(self._explainer.device),
            memory=used_bytes(self._explainer.device),
        )
        return responses, record

    def warm_up(self, batch_size: int) -> None:
        """Runs batches of the sizes that come, in chunks as they are run.

        A failure is logged: requests may fare better, and each is answered on its own.

        Args:
            batch_size: The most requests of a batch.
        """
        rows = self._settings.limits.max_rows
        most = min(batch_size, rows)
        # every small one, for what the first of its size makes stays in memory
        sizes = {most, *range(1, min(most, 8) + 1), *(2**n for n in range(most.bit_length()))}
        if self._settings.execution.compile:
            sizes = set(range(1, rows + 1))  # one that comes later must not be compiled for then
        layers = self._vocabulary.default_layers
        ask = Ask(method=self._settings.method, layers=layers) if layers else None
        if ask and further_passes(ask, [self._vocabulary.layers.choose(n) for n in layers], 1):
            ask = None  # thousands of passes, which no later request takes fewer of
        try:
            self._explainer.warm_up(sorted(sizes), ask, graphs=self._settings.execution.cuda_graphs)
        except Exception:
            logger.warning("gradcam: the warm-up failed; serving goes on", exc_info=True)

    def describe(self) -> Response:
        """What the management API tells of the model."""
        writer, vocabulary = self._writer, self._vocabulary
        told = description(
            writer.model,
            self._settings,
            writer.classes,
            vocabulary.layers,
            vocabulary.default_layers,
        )
        body = document.to_json(told)
        if len(body) > self._settings.limits.max_answer_bytes:  # it would kill the worker
            body = document.to_json(
                {**told, "classes": [], "classes_left_out": len(told["classes"])}
            )
        return Response(200, JSON, body)

    def _prepare(
        self, row: Mapping[str, object], headers: Mapping[str, object], deadline: float
    ) -> Prepared | Response:
        try:
            if is_describe(row, headers):
                return self.describe()
            return self._intake.read(row, headers, deadline)
        except GradcamError as error:
            return refusal(error)
        except RecursionError:  # JSON just shallow enough to be parsed, but not to be quoted
            return refusal(MalformedRequest("the request's JSON is nested too deeply"))
        except Exception:
            logger.exception("a request could not be read")
            return refusal(EngineFault("the request could not be read; the server's log says why"))

    def _finish_all(
        self,
        prepared: Sequence[Prepared | Response],
        results: Sequence[Sequence[Outcome | GradcamError]],
    ) -> list[Response]:
        """Writes the answers, those that take least first, so that time runs out for the others.

        Drawing has as much time as all before it, so that what took long there costs nobody here.
        """
        deadline = time.monotonic() + self._settings.limits.max_seconds
        responses = {n: one for n, one in enumerate(prepared) if isinstance(one, Response)}
        sound = [(n, one) for n, one in enumerate(prepared) if isinstance(one, Prepared)]
        sound.sort(key=lambda entry: entry[1].effort)

        def write(entry: tuple[int, Prepared]) -> Response:
            number, one = entry
            failed = any(isinstance(result, GradcamError) for result in results[number])
            large = one.effort > _QUICKLY_DRAWN and not failed
            if large and time.monotonic() > deadline:
                return refusal(out_of_time())
            return self._finish(one, results[number])

        written = self._crew.map(write, sound)
        responses |= {number: one for (number, _), one in zip(sound, written, strict=True)}
        return [responses[number] for number in range(len(prepared))]

    def _finish(self, prepared: Prepared, results: Sequence[Outcome | GradcamError]) -> Response:
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


def _recorded(request: Request, prepared: Prepared | Response, response: Response) -> RequestRecord:
    method = prepared.method if isinstance(prepared, Prepared) else None
    return RequestRecord(api_of(*request), method, response.status, response.told)


def _checked(result: Outcome | GradcamError) -> Outcome:
    if isinstance(result, GradcamError):
        raise result
    return result
