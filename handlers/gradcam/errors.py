"""What can go wrong, as types: each carries the HTTP status and a sentence that says what to do.

Errors are raised where the knowledge is and caught once per request, in ``service``:

    bytes and headers --MalformedRequest (400), TooLarge (413)--> picture and options
    picture bytes     --BrokenPicture (400), TooLarge (413), UnsupportedPicture (415)--> picture
    options           --InvalidOption (422), UnusableLayer (422)--> a question
    a question        --EngineFault (500), TooLarge (413)--> logits and maps
    the answer        --TooLarge (413)--> bytes

``SettingsError`` is different: it stops the worker from loading a model that is set up wrongly.
"""

from typing import ClassVar


class GradcamError(Exception):
    """An error that an answer can carry; ``status`` is its HTTP status."""

    status: ClassVar[int] = 500

    @property
    def kind(self) -> str:
        """The short name of the error, as answers carry it in ``type``."""
        return type(self).__name__

    @property
    def message(self) -> str:
        """The sentence for the caller."""
        return str(self)


class MalformedRequest(GradcamError):  # noqa: N818 - these names are part of the API
    """The body is not what its content type says, or holds no picture."""

    status = 400


class BrokenPicture(GradcamError):  # noqa: N818
    """The bytes begin like a picture that we know but cannot be decoded."""

    status = 400


class TooLarge(GradcamError):  # noqa: N818
    """Too many bytes, pixels or pictures in, or an answer beyond the limit."""

    status = 413


class UnsupportedPicture(GradcamError):  # noqa: N818
    """Not a picture in a format that is decoded here."""

    status = 415


class InvalidOption(GradcamError):  # noqa: N818
    """An option that does not exist, or a value that it does not take."""

    status = 422


class UnusableLayer(InvalidOption):
    """A layer that cannot be explained at; the message names the nearest one that can."""


class EngineFault(GradcamError):  # noqa: N818
    """Our own fault: out of memory, a non-finite number, a bug."""

    status = 500


class SettingsError(RuntimeError):
    """The archive's configuration is wrong; the worker must not load."""


def out_of_time() -> TooLarge:
    """The refusal of what asks for more than can be computed or drawn in good time."""
    return TooLarge(
        "the request asks for more maps or pictures than can be computed in good time; ask for "
        "fewer targets or a lower max_side, send fewer instances, or choose a layer nearer to "
        "the logits"
    )
