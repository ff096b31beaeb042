"""Forward passes, counted by hand."""

import pytest

from gradcam import Ask, Layer
from gradcam.engine.price import further_passes

WIDE = Layer("layer4", 2048, 7, 7)
NARROW = Layer("layer1", 64, 56, 56)


@pytest.mark.parametrize(
    ("ask", "layers", "maps", "expected"),
    [
        (Ask(), [WIDE], 16, 0),
        (Ask(), [WIDE, NARROW], 1, 0),
        (Ask(smooth=8), [WIDE], 1, 8),
        (Ask(smooth=8), [WIDE], 16, 8),  # maps of one copy share its pass
        (Ask(flip=True), [WIDE], 1, 1),
        (Ask(smooth=8, flip=True), [WIDE], 1, 17),  # nine, each twice, less the first
        (Ask(score=True), [WIDE], 1, 21),
        (Ask(score=True), [WIDE], 3, 63),
        (Ask(method="scorecam"), [WIDE], 5, 2049),
        (Ask(method="ablationcam"), [NARROW], 1, 65),
        (Ask(method="scorecam"), [WIDE, NARROW], 1, 2049 + 65),
        (Ask(method="scorecam", smooth=2, flip=True), [NARROW], 1, 5 + 6 * 65),
        (Ask(method="scorecam", score=True), [NARROW], 2, 65 + 2 * 21),
    ],
)
def test_passes_beyond_the_first(ask: Ask, layers: list[Layer], maps: int, expected: int) -> None:
    assert further_passes(ask, layers, maps) == expected
