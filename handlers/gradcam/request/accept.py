"""What an ``Accept`` header asks for: JSON, or a picture instead."""

_KINDS = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/webp": "webp",
    "image/*": "png",
    "application/json": None,
    "application/*": None,
    "*/*": None,
}
"""What a media type is answered with; ``None`` is JSON."""


def preferred_picture(accept: str) -> str | None:
    """The picture type that an ``Accept`` header puts ahead of JSON, or ``None``.

    Returns:
        ``png``, ``jpeg`` or ``webp``.
    """
    best, best_quality = None, 0.0
    for entry in accept.lower().split(","):
        media, *parameters = (part.strip() for part in entry.split(";"))
        quality = _quality(parameters)
        if media in _KINDS and quality > best_quality:  # of equals, the first
            best, best_quality = _KINDS[media], quality
    return best


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0
