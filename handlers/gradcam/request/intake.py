"""From a request, however it was sent, to rows for the network, within the request's limits.

row, headers --wire--> pictures, options --picture, geometry, preprocess--> rows
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from gradcam.engine.applicability import why_not
from gradcam.engine.explanation import Ask
from gradcam.engine.targets import count_maps
from gradcam.errors import GradcamError, InvalidOption, UnusableLayer, out_of_time
from gradcam.geometry import part_of, plan_view
from gradcam.pictures import render
from gradcam.pictures.picture import decode_picture
from gradcam.pictures.preprocess import show
from gradcam.record import only_method
from gradcam.request.allowance import Allowance
from gradcam.request.options import Options, Vocabulary, parse_options
from gradcam.request.subject import Subject
from gradcam.request.wire import Incoming, Instance, read_request
from gradcam.settings import Settings
from gradcam.survey.layers import Layer

_PIXELS_A_CELL = 100  # weighing the evidence of a map's cell takes as long as drawing so many


@dataclass(frozen=True)
class Row:
    """One picture of one request, ready for the network."""

    subject: Subject
    pixels: Tensor
    ask: Ask | None
    turn: int = 0  # its place among the pictures of its request
    passes: int = 0  # further forward passes that it takes at most


@dataclass(frozen=True)
class Prepared:
    """A request whose pictures and options are sound."""

    incoming: Incoming
    rows: tuple[Row, ...]
    effort: int  # of writing its answer, in pixels drawn

    @property
    def method(self) -> str | None:
        """As :attr:`gradcam.record.RequestRecord.method` has it."""
        explain = self.incoming.explain
        return only_method([row.subject.options.method for row in self.rows]) if explain else None


@dataclass(frozen=True)
class Intake:
    """Reads the requests to one model."""

    settings: Settings
    vocabulary: Vocabulary

    def read(
        self, row: Mapping[str, object], headers: Mapping[str, object], deadline: float
    ) -> Prepared:
        """Reads one request.

        Args:
            row: What TorchServe gives a handler as one element of its data.
            headers: That request's headers.
            deadline: On :func:`time.monotonic`'s clock; only a first picture is decoded after it.

        Raises:
            GradcamError: Something is wrong with the request, or it asks for too much.
        """
        incoming = read_request(row, headers, self.settings.limits)
        if incoming.accept and len(incoming.instances) > 1:
            raise InvalidOption(
                "several instances cannot be answered with one picture; accept "
                "application/json, or send one instance"
            )
        left = Allowance(self.settings.limits)
        rows = self._read_rows(incoming, left, deadline)
        return Prepared(incoming, rows, left.drawn + _PIXELS_A_CELL * left.cells)

    def _read_rows(self, incoming: Incoming, left: Allowance, deadline: float) -> tuple[Row, ...]:
        rows = []
        for number, instance in enumerate(incoming.instances):
            if number and time.monotonic() > deadline:
                raise out_of_time()
            try:
                row = self._read_row(instance, incoming, left)
                rows.append(replace(row, turn=number))
            except GradcamError as error:
                if not incoming.wrapped:
                    raise
                raise type(error)(f"instances[{number}]: {error.message}") from error
        return tuple(rows)

    def _read_row(self, instance: Instance, incoming: Incoming, left: Allowance) -> Row:
        options = parse_options(instance.options, self.vocabulary)
        if incoming.accept:  # a picture has no place for numbers
            options = replace(options, overlay=incoming.accept, score=False)
        before = left.passes
        ask = self._ask(options, left) if incoming.explain else None
        drawn = incoming.explain and options.overlay != "none"
        reducible = not drawn and options.crop is None
        picture = decode_picture(
            instance.picture,
            self.settings.limits.max_bytes,
            left.pixels,
            reduce_to=self._least_side if reducible else 0,
        )
        left.decode(picture.width, picture.height)
        view = plan_view(part_of(picture.frame, options.crop), self.settings.preprocessing)
        if incoming.explain:
            kinds = drawn + (options.heatmap == "png" and not incoming.accept)
            size = render.fit(picture.width, picture.height, options.max_side)
            maps = self._maps(options)
            left.draw(size, maps * kinds)
            layers = [self.vocabulary.layers.choose(name) for name in options.layer]
            # maps of several layers become one of the finest one's height and width
            height, width = (max(sides) for sides in zip(*map(_grid, layers), strict=True))
            left.cells += maps * height * width
            if options.heatmap == "grid" and not incoming.accept:
                left.write(maps * height * width)
        return Row(
            Subject(
                picture.width,
                picture.height,
                view,
                render.shrink(picture.pixels, options.max_side) if drawn else None,
                options,
            ),
            show(picture, view, self.settings.preprocessing.interpolation),
            ask,
            passes=left.passes - before,
        )

    @property
    def _least_side(self) -> int:
        """What both sides of a picture decoded at a reduced scale must have; 0 for no such thing.

        Of a squashed picture twice as much as need be along one side, if its crop is not square.
        """
        preprocessing = self.settings.preprocessing
        if not preprocessing.reduced_decoding:
            return 0
        return max(preprocessing.crop_size) if preprocessing.squash else preprocessing.resize

    def _ask(self, options: Options, left: Allowance) -> Ask:
        if len(options.layer) > 1 and options.scale == "shared":
            raise InvalidOption(
                "scale shared needs a single layer: maps of several are each made of shares of "
                "those layers' own maxima, so they have no scale in common"
            )
        if not options.layer:
            raise UnusableLayer(self.vocabulary.layers.why_no_default)
        ask = Ask(
            targets=options.target,
            method=options.method,
            layers=options.layer,
            fuse=options.fuse,
            smooth=options.smooth,
            noise=options.noise,
            seed=options.seed,
            flip=options.flip,
            score=options.score,
            call=options.call,
        )
        layers = [self.vocabulary.layers.choose(name) for name in options.layer]
        for layer in layers:
            if reason := why_not(options.method, layer, options.call):
                raise UnusableLayer(reason)
        left.compute(ask, layers, self._maps(options))
        return ask

    def _maps(self, options: Options) -> int:
        return count_maps(options.target, len(self.vocabulary.classes))


def _grid(layer: Layer) -> tuple[int, int]:
    return layer.height, layer.width
