"""What an ``Accept`` header asks for: JSON, or a picture instead."""

_PICTURES = {"image/png": "png", "image/jpeg": "jpeg", "image/webp": "webp", "image/*": "png"}
_JSON = ("application/json", "application/*", "*/*")


def preferred_picture(accept: str) -> str | None:
    """The picture type that an ``Accept`` header puts ahead of JSON, or ``None``.

    Returns:
        ``png``, ``jpeg`` or ``webp``.
    """
    best: tuple[float, str | None] = (0.0, None)
    json_quality, json_first = 0.0, False
    for entry in accept.lower().split(","):
        media, *parameters = (part.strip() for part in entry.split(";"))
        quality = _quality(parameters)
        if media in _JSON:
            json_quality = max(json_quality, quality)
            json_first = json_first or best[1] is None
        elif media in _PICTURES and quality > best[0]:
            best = (quality, _PICTURES[media])
    ahead = best[0] > json_quality or (best[0] == json_quality and not json_first)
    return best[1] if ahead else None


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0
