import pytest

from gradcam import Ask, Layer
from gradcam.errors import TooLarge
from gradcam.request.allowance import Allowance
from gradcam.settings import Limits

WIDE = Layer("layer4", 2048, 7, 7)
NARROW = Layer("layer1", 64, 56, 56)


def test_the_default_lets_score_cam_at_resnet_50_through() -> None:
    Allowance(Limits()).compute(Ask(method="scorecam"), [WIDE], 16)
    with pytest.raises(TooLarge):
        Allowance(Limits()).compute(Ask(method="scorecam", flip=True), [WIDE], 1)


def test_passes_of_all_pictures_count_together() -> None:
    left = Allowance(Limits(max_passes=16))
    left.compute(Ask(smooth=8), [WIDE], 1)
    left.compute(Ask(smooth=8), [WIDE], 1)
    left.compute(Ask(), [WIDE], 16)
    with pytest.raises(TooLarge, match=r"takes 17 further forward passes; at most 16 are made"):
        left.compute(Ask(flip=True), [WIDE], 1)


@pytest.mark.parametrize(
    ("ask", "remedy"),
    [
        (Ask(smooth=2), ": lower smooth or send fewer instances"),
        (Ask(flip=True), ": leave flip out or send fewer instances"),
        (
            Ask(score=True, smooth=1),
            ": lower smooth, leave score out or ask for fewer targets or send fewer instances",
        ),
        (
            Ask(method="scorecam"),
            ": choose another method or a layer of fewer channels or send fewer instances",
        ),
    ],
)
def test_the_refusal_says_what_to_lower(ask: Ask, remedy: str) -> None:
    with pytest.raises(TooLarge) as caught:
        Allowance(Limits(max_passes=0)).compute(ask, [WIDE], 1)
    assert str(caught.value).endswith(remedy)
