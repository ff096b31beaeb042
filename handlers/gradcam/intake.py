"""From a request, however it was sent, to rows for the network, within the request's limits.

row, headers --wire--> pictures, options --picture, geometry, preprocess--> rows
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from gradcam import render
from gradcam.allowance import Allowance
from gradcam.applicability import why_not
from gradcam.drawing import Subject
from gradcam.errors import GradcamError, InvalidOption, UnusableLayer, out_of_time
from gradcam.explanation import Ask
from gradcam.geometry import part_of, plan_view
from gradcam.options import Options, Vocabulary, parse_options
from gradcam.picture import decode_picture
from gradcam.preprocess import show
from gradcam.settings import Settings
from gradcam.targets import count_maps
from gradcam.wire import Incoming, Instance, read_request


@dataclass(frozen=True)
class Row:
    """One picture of one request, ready for the network."""

    subject: Subject
    pixels: Tensor
    ask: Ask | None
    turn: int = 0  # its place among the pictures of its request


@dataclass(frozen=True)
class Prepared:
    """A request whose pictures and options are sound."""

    incoming: Incoming
    rows: tuple[Row, ...]
    drawn: int  # pixels of the pictures in its answer


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
        return Prepared(incoming, rows, left.drawn)

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
        if incoming.accept:
            options = replace(options, overlay=incoming.accept)
        ask = self._ask(options, left) if incoming.explain else None
        picture = decode_picture(instance.picture, self.settings.limits.max_bytes, left.pixels)
        left.decode(picture.width, picture.height)
        view = plan_view(part_of(picture.frame, options.crop), self.settings.preprocessing)
        drawn = incoming.explain and options.overlay != "none"
        if incoming.explain:
            kinds = drawn + (options.heatmap == "png" and not incoming.accept)
            size = render.fit(picture.width, picture.height, options.max_side)
            maps = self._maps(options)
            left.draw(size, maps * kinds)
            if options.heatmap == "grid" and not incoming.accept:
                layers = [self.vocabulary.layers.choose(name) for name in options.layer]
                # maps of several layers become one of the finest one's height and width
                height = max(layer.height for layer in layers)
                left.write(maps * height * max(layer.width for layer in layers))
        return Row(
            Subject(
                picture.width,
                picture.height,
                view,
                render.shrink(picture.image, options.max_side) if drawn else None,
                options,
            ),
            show(picture.image, view, self.settings.preprocessing.interpolation),
            ask,
        )

    def _ask(self, options: Options, left: Allowance) -> Ask:
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
            if reason := why_not(options.method, layer):
                raise UnusableLayer(reason)
        left.compute(ask, layers, self._maps(options))
        return ask

    def _maps(self, options: Options) -> int:
        return count_maps(options.target, len(self.vocabulary.classes))
