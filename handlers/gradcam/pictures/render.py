"""Pictures in an answer: the map as grey levels, and the overlay. Functions of arrays."""

import cv2
import numpy as np
import numpy.typing as npt

from gradcam.geometry import Region

Grid = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

COLORMAPS = {
    "jet": cv2.COLORMAP_JET,
    "turbo": cv2.COLORMAP_TURBO,
    "viridis": cv2.COLORMAP_VIRIDIS,
    "inferno": cv2.COLORMAP_INFERNO,
    "magma": cv2.COLORMAP_MAGMA,
    "gray": None,
}
"""Colour maps by name."""

PICTURE_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
"""Encodings of a picture in an answer, with their content types."""

_PARAMETERS = {
    "png": [cv2.IMWRITE_PNG_COMPRESSION, 3],
    "jpeg": [cv2.IMWRITE_JPEG_QUALITY, 90],
    "webp": [cv2.IMWRITE_WEBP_QUALITY, 90],
}
_WEBP_MOST = 16383


def fit(width: int, height: int, max_side: int) -> tuple[int, int]:
    """The size of a picture whose longer side is at most ``max_side`` (0: no bound)."""
    longest = max(width, height)
    if not max_side or longest <= max_side:
        return width, height
    return max(1, round(width * max_side / longest)), max(1, round(height * max_side / longest))


def shrink(pixels: Pixels, max_side: int) -> Pixels:
    """The picture with its longer side at most ``max_side`` (0: as it is)."""
    height, width = pixels.shape[:2]
    size = fit(width, height, max_side)
    if size == (width, height):
        return pixels
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def spread(
    grid: Grid, region: Region, width: int, height: int, within: Region | None = None
) -> tuple[Grid, slice, slice]:
    """Interpolates a map bilinearly to the pixels of a picture whose centres its region covers.

    As ``interpolate(mode="bilinear", align_corners=False)`` does, but for a region whose edges
    need not lie between pixels: each pixel's value is taken at its own centre.

    Args:
        grid: ``[h, w]``.
        region: What of the picture the map covers.
        width: Of the picture, in pixels.
        height: Of the picture, in pixels.
        within: Pixels whose centres lie outside this are left out too.

    Returns:
        The values, and the rows and the columns of the picture that they belong to.
    """
    bounds = within or Region(0, 0, width, height)
    rows = _covered(region.top, region.height, bounds.top, bounds.height, height)
    columns = _covered(region.left, region.width, bounds.left, bounds.width, width)
    down = (rows, region.top, region.height, 0)
    across = (columns, region.left, region.width, 1)
    # the shorter side first, so that a very long and thin picture takes no more than its pixels
    shorter_first = rows.stop - rows.start <= columns.stop - columns.start
    for axis in (down, across) if shorter_first else (across, down):
        grid = _interpolate(grid, *axis)
    return grid, rows, columns


def _covered(start: float, extent: float, low: float, room: float, length: int) -> slice:
    """The pixels of one axis whose centres lie in both intervals."""
    # a sliver of tolerance keeps a pixel whose centre lies on the edge
    first = max(0, int(np.ceil(max(start, low) - 0.5 - 1e-9)))
    last = min(length, int(np.ceil(min(start + extent, low + room) - 0.5 - 1e-9)))
    return slice(first, max(first, last))


def _interpolate(grid: Grid, pixels: slice, start: float, extent: float, axis: int) -> Grid:
    """Interpolates along one axis, from cells to pixels."""
    cells = grid.shape[axis]
    centres = np.arange(pixels.start, pixels.stop) + 0.5
    position = ((centres - start) / extent * cells - 0.5).clip(0, cells - 1)
    lower = np.minimum(position.astype(np.intp), max(cells - 2, 0))
    upper = np.minimum(lower + 1, cells - 1)
    fraction = (position - lower).astype(np.float32)
    fraction = fraction[:, None] if axis == 0 else fraction[None, :]
    below, above = grid.take(lower, axis), grid.take(upper, axis)
    return np.asarray(below + fraction * (above - below), np.float32)


def grey_map(
    grid: Grid, region: Region, width: int, height: int, within: Region | None = None
) -> Pixels:
    """The map as 8-bit grey levels on the picture's pixels, zero outside its region.

    Args:
        grid: ``[h, w]``, 0…1.
        region: What of the picture the map covers.
        width: Of the picture, in pixels.
        height: Of the picture, in pixels.
        within: Zero outside this too.

    Returns:
        ``[height, width]``.
    """
    levels = np.zeros((height, width), np.uint8)
    values, rows, columns = spread(grid, region, width, height, within)
    levels[rows, columns] = np.round(values.clip(0, 1) * 255)
    return levels


def overlay(
    picture: Pixels,
    grid: Grid,
    region: Region,
    colormap: str,
    alpha: float,
    within: Region | None = None,
) -> Pixels:
    """Lays the coloured map over the part of the picture that it covers; the rest is untouched.

    Args:
        picture: ``[height, width, 3]``, RGB.
        grid: ``[h, w]``, 0…1.
        region: What of the picture the map covers, in its pixels.
        colormap: One of :data:`COLORMAPS`.
        alpha: The share of the map's colour, 0…1.
        within: Nothing is painted outside this either.

    Returns:
        ``[height, width, 3]``, RGB.
    """
    height, width = picture.shape[:2]
    values, rows, columns = spread(grid, region, width, height, within)
    levels = np.round(values.clip(0, 1) * 255).astype(np.uint8)
    pixels = picture.copy()
    if levels.size:
        below, above = np.ascontiguousarray(picture[rows, columns]), colour(levels, colormap)
        pixels[rows, columns] = cv2.addWeighted(below, 1 - alpha, above, alpha, 0)
    return pixels


def colour(levels: Pixels, colormap: str) -> Pixels:
    """Colours grey levels: ``[H, W]`` to ``[H, W, 3]``, RGB."""
    number = COLORMAPS[colormap]
    if number is None:
        return np.asarray(cv2.cvtColor(levels, cv2.COLOR_GRAY2RGB), np.uint8)
    coloured = cv2.applyColorMap(levels, number)
    return np.asarray(cv2.cvtColor(coloured, cv2.COLOR_BGR2RGB, dst=coloured), np.uint8)


def beside(panels: list[Pixels]) -> Pixels:
    """Pictures of one size in a row, from left to right."""
    return np.concatenate(panels, axis=1)


def encode(pixels: Pixels, picture_type: str) -> bytes:
    """Encodes grey levels or RGB as one of :data:`PICTURE_TYPES`.

    Raises:
        ValueError: The picture is too large for the encoding.
    """
    if picture_type == "webp" and max(pixels.shape[:2]) > _WEBP_MOST:
        raise ValueError(f"WebP pictures have at most {_WEBP_MOST} pixels a side")
    ordered = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(f".{picture_type}", ordered, _PARAMETERS[picture_type])
    if not done:
        raise ValueError(f"the picture could not be encoded as {picture_type}")
    return data.tobytes()
