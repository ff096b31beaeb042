"""From a request, however it was sent, to rows for the network, within the request's limits.

row, headers --wire--> pictures, options --picture, geometry, preprocess--> rows
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from gradcam import render
from gradcam.allowance import Allowance
from gradcam.answer import Subject
from gradcam.errors import GradcamError, InvalidOption, UnusableLayer, out_of_time
from gradcam.explanation import Ask
from gradcam.geometry import part_of, plan_view
from gradcam.options import Vocabulary, parse_options
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
        if incoming.explain and options.layer is None:
            raise UnusableLayer(self.vocabulary.layers.why_no_default)
        picture = decode_picture(instance.picture, self.settings.limits.max_bytes, left.pixels)
        left.decode(picture.width, picture.height)
        view = plan_view(part_of(picture.frame, options.crop), self.settings.preprocessing)
        drawn = incoming.explain and options.overlay != "none"
        if incoming.explain:
            layer = self.vocabulary.layers.choose(options.layer)
            kinds = drawn + (options.heatmap == "png" and not incoming.accept)
            size = render.fit(picture.width, picture.height, options.max_side)
            maps = count_maps(options.target, len(self.vocabulary.classes))
            left.draw(size, maps * kinds)
            if options.heatmap == "grid" and not incoming.accept:
                left.write(maps * layer.height * layer.width)
        return Row(
            Subject(
                picture.width,
                picture.height,
                view,
                render.shrink(picture.image, options.max_side) if drawn else None,
                options,
            ),
            show(picture.image, view, self.settings.preprocessing.interpolation),
            Ask(options.target, options.method, options.layer) if incoming.explain else None,
        )
