"""Where the network looked: from the upright picture to the network's input and back.

Three frames, each with the origin in its upper left corner and pixel (0, 0) covering 0…1:

    picture --part (the ``crop`` option)--> part --resize--> resized part --centre crop--> input

Everything is exact arithmetic on the integers that the preprocessing really used, so that a map can
be laid over precisely the pixels that the network saw.
"""

from dataclasses import dataclass

from gradcam.errors import InvalidOption
from gradcam.settings import Preprocessing


@dataclass(frozen=True)
class Box:
    """A rectangle of whole pixels: left and top edge, width and height."""

    left: int
    top: int
    width: int
    height: int

    @property
    def region(self) -> "Region":
        """The same rectangle."""
        return Region(float(self.left), float(self.top), float(self.width), float(self.height))


@dataclass(frozen=True)
class Region:
    """A rectangle in pixels of the upright picture, edges between pixels included."""

    left: float
    top: float
    width: float
    height: float

    def scaled(self, across: float, down: float) -> "Region":
        """The same rectangle on a picture that is ``across`` as wide and ``down`` as high."""
        return Region(self.left * across, self.top * down, self.width * across, self.height * down)


@dataclass(frozen=True)
class View:
    """How one picture became one input.

    Attributes:
        part: The part of the picture that was taken.
        resized: ``(width, height)`` of that part after resizing.
        window: The centre crop, in pixels of the resized part; it sticks out (and is black there)
            where the crop is larger than the resized part.
    """

    part: Box
    resized: tuple[int, int]
    window: Box

    @property
    def region(self) -> Region:
        """The rectangle of the picture that the input shows, and so what a map covers."""
        left, top = self.to_picture(0.0, 0.0)
        right, bottom = self.to_picture(float(self.window.width), float(self.window.height))
        return Region(left, top, right - left, bottom - top)

    def to_picture(self, x: float, y: float) -> tuple[float, float]:
        """Takes a point of the input to the upright picture."""
        return (
            self.part.left + (self.window.left + x) * self.part.width / self.resized[0],
            self.part.top + (self.window.top + y) * self.part.height / self.resized[1],
        )

    def to_input(self, x: float, y: float) -> tuple[float, float]:
        """Takes a point of the upright picture to the input."""
        return (
            (x - self.part.left) * self.resized[0] / self.part.width - self.window.left,
            (y - self.part.top) * self.resized[1] / self.part.height - self.window.top,
        )


def part_of(frame: Box, crop: Box | None) -> Box:
    """The part of a picture that a crop takes; without one, all of it.

    Raises:
        InvalidOption: The crop reaches beyond the picture.
    """
    if crop is None:
        return frame
    if crop.left + crop.width > frame.width or crop.top + crop.height > frame.height:
        raise InvalidOption(
            f"crop {crop.left},{crop.top},{crop.width},{crop.height} reaches beyond the picture, "
            f"which is {frame.width}×{frame.height} pixels when upright"
        )
    return crop


def plan_view(part: Box, preprocessing: Preprocessing) -> View:
    """Works out the resizing and the centre crop, with torchvision's rounding.

    Args:
        part: What to show of the picture; the whole of it as a box, or a crop.
        preprocessing: The model's.
    """
    height, width = preprocessing.crop_size
    if preprocessing.squash:
        return View(part, (width, height), Box(0, 0, width, height))
    shorter, longer = sorted((part.width, part.height))
    long_side = int(preprocessing.resize * longer / shorter)
    resized = (
        (preprocessing.resize, long_side)
        if part.width <= part.height
        else (long_side, preprocessing.resize)
    )
    window = Box(
        _centre(resized[0], width),
        _centre(resized[1], height),
        width,
        height,
    )
    return View(part, resized, window)


def _centre(length: int, crop: int) -> int:
    if crop > length:
        # torchvision pads such a side first, and leaves the odd pixel to the right or below
        return -((crop - length) // 2)
    return round((length - crop) / 2.0)
