"""What the network gets, held against torchvision's own presets, and against the geometry."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import skimage.data
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision import models, transforms
from torchvision.transforms import functional

from gradcam.geometry import Box, plan_view
from gradcam.pictures import preprocess
from gradcam.pictures.picture import Picture, decode_picture
from gradcam.pictures.preprocess import normalise, show
from gradcam.settings import Preprocessing
from pictures import encode

CPU = torch.device("cpu")
PRESETS = {
    "bilinear, 256 to 224": models.ResNet50_Weights.IMAGENET1K_V1,
    "bilinear, 232 to 224": models.ResNet50_Weights.IMAGENET1K_V2,
    "bicubic, 256 to 224": models.EfficientNet_B0_Weights.IMAGENET1K_V1,
    "bicubic, 260 to 256": models.Swin_V2_T_Weights.IMAGENET1K_V1,
    "bilinear, 342 to 299": models.Inception_V3_Weights.IMAGENET1K_V1,
    "bilinear, 384 to 384": models.EfficientNet_V2_S_Weights.IMAGENET1K_V1,
    "bilinear, 480 to 480, other means": models.EfficientNet_V2_L_Weights.IMAGENET1K_V1,
}
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")
SIZES = [
    (500, 375),
    (375, 500),
    (224, 224),
    (256, 256),
    (640, 427),
    (257, 255),
    (1001, 333),
    (60, 900),
    (31, 17),
    (2, 3),
    (1, 1),
    (1, 40),
    (40, 1),
]


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    generator = np.random.default_rng(seed)
    return Image.fromarray(generator.integers(0, 256, (height, width, 3), np.uint8))


def as_preprocessing(preset: Any) -> Preprocessing:
    (resize,), (crop,) = preset.resize_size, preset.crop_size
    return Preprocessing(
        resize=resize,
        crop_size=(crop, crop),
        interpolation=preset.interpolation.value,
        mean=tuple(preset.mean),
        std=tuple(preset.std),
    )


def shown(image: Image.Image, preprocessing: Preprocessing, part: Box | None = None) -> Any:
    view = plan_view(part or Box(0, 0, *image.size), preprocessing)
    return show(Picture.of(image), view, preprocessing.interpolation)


def grey_levels(seen: torch.Tensor, expected: torch.Tensor) -> int:
    """The greatest difference of two uint8 pictures."""
    assert seen.shape == expected.shape
    assert seen.dtype == expected.dtype == torch.uint8
    return int((seen.int() - expected.int()).abs().max())


def by_preset(image: Image.Image, preset: Any) -> torch.Tensor:
    """What torchvision's preset shows the network, before it is normalised: ``[3, H, W]`` uint8."""
    mode = transforms.InterpolationMode(preset.interpolation.value)
    resized = functional.resize(image, preset.resize_size, mode)
    seen: torch.Tensor = functional.pil_to_tensor(functional.center_crop(resized, preset.crop_size))
    return seen


# --- within a grey level ---


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_to_a_grey_level(name: str, size: tuple[int, int]) -> None:
    preset = PRESETS[name].transforms()
    preprocessing = as_preprocessing(preset)
    image = noise(*size)

    seen = shown(image, preprocessing)

    assert grey_levels(seen, by_preset(image, preset)) <= 1


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("photograph", PHOTOGRAPHS)
def test_photographs_to_a_grey_level_from_jpeg_to_input(photograph: str, name: str) -> None:
    preset = PRESETS[name].transforms()
    preprocessing = as_preprocessing(preset)
    jpeg = encode(Image.fromarray(getattr(skimage.data, photograph)()), "JPEG", quality=90)
    picture = decode_picture(jpeg, len(jpeg), 10_000_000)

    view = plan_view(picture.frame, preprocessing)
    seen = show(picture, view, preprocessing.interpolation)

    expected = by_preset(Image.open(io.BytesIO(jpeg)).convert("RGB"), preset)
    assert grey_levels(seen, expected) <= 1
    assert float((seen != expected).float().mean()) < 0.02  # and most to the bit


def test_normalising_is_the_presets_own_to_the_bit() -> None:
    preset = PRESETS["bilinear, 256 to 224"].transforms()
    image = noise(256, 256)

    found = normalise([shown(image, as_preprocessing(preset))], as_preprocessing(preset), CPU)

    assert found.is_contiguous(memory_format=torch.channels_last)
    assert found[0].equal(preset(image))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(1, 60),
    st.integers(1, 60),
    st.sampled_from(["bilinear", "bicubic"]),
)
def test_squashing_to_a_grey_level_whether_it_enlarges_or_not(
    width: int, height: int, crop_height: int, crop_width: int, interpolation: str
) -> None:
    image = noise(width, height)
    preprocessing = Preprocessing(
        crop_size=(crop_height, crop_width), squash=True, interpolation=interpolation
    )

    seen = shown(image, preprocessing)

    resampling = Image.Resampling[interpolation.upper()]
    expected = image.resize((crop_width, crop_height), resampling)
    assert grey_levels(seen, functional.pil_to_tensor(expected)) <= 1


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(1, 60),
)
def test_any_sizes_to_a_grey_level_also_where_the_crop_is_larger_than_the_picture(
    width: int, height: int, resize: int, crop_height: int, crop_width: int
) -> None:
    image = noise(width, height)
    preprocessing = Preprocessing(resize=resize, crop_size=(crop_height, crop_width))

    seen = shown(image, preprocessing)

    resized = functional.resize(image, [resize])
    expected = functional.center_crop(resized, [crop_height, crop_width])
    assert grey_levels(seen, functional.pil_to_tensor(expected)) <= 1


def test_squashing_is_one_resize_of_both_sides() -> None:
    image = noise(50, 37)

    seen = shown(image, Preprocessing(crop_size=(20, 30), squash=True, interpolation="bicubic"))

    expected = image.resize((30, 20), Image.Resampling.BICUBIC)
    assert grey_levels(seen, functional.pil_to_tensor(expected)) <= 1


def test_every_picture_of_a_batch_is_normalised_alike() -> None:
    preprocessing = Preprocessing(mean=(0.5, 0.25, 0), std=(0.5, 0.25, 2))
    batch = torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 3, 1, 1)

    found = normalise(list(batch), preprocessing, CPU).flatten(1)

    expected = torch.tensor([[-1, -1, 0], [-0.6, -0.2, 0.1], [1, 3, 0.5]])
    torch.testing.assert_close(found, expected)


# --- a part of the picture ---


@pytest.mark.parametrize("most_pixels", [16_000_000, 1])
@pytest.mark.parametrize("part", [Box(30, 20, 40, 50), Box(5, 3, 1, 90), Box(0, 0, 60, 1)], ids=str)
def test_a_part_is_seen_as_if_it_were_the_whole_picture(
    part: Box, most_pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preprocess, "_MOST_RESIZED_PIXELS", most_pixels)
    image = noise(100, 100)
    preprocessing = Preprocessing(resize=64, crop_size=(56, 56))
    pixels = np.array(image)[part.top : part.top + part.height, part.left : part.left + part.width]

    seen = shown(image, preprocessing, part)

    assert seen.equal(shown(Image.fromarray(pixels), preprocessing))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.data())
def test_each_pixel_seen_comes_from_where_the_geometry_says(data: st.DataObject) -> None:
    # red and green say where in the picture a pixel is
    image = Image.fromarray(coordinates(250, 200))
    left, top = data.draw(st.integers(0, 240)), data.draw(st.integers(0, 190))
    part = Box(
        left, top, data.draw(st.integers(1, 250 - left)), data.draw(st.integers(1, 200 - top))
    )
    preprocessing = Preprocessing(
        resize=data.draw(st.integers(1, 60)),
        crop_size=(data.draw(st.integers(1, 60)), data.draw(st.integers(1, 60))),
        squash=data.draw(st.booleans()),
        interpolation="nearest",
    )
    view = plan_view(part, preprocessing)

    seen = show(Picture.of(image), view, "nearest")

    for row, column in [(0, 0), (seen.shape[1] - 1, seen.shape[2] // 2), (seen.shape[1] // 2, 0)]:
        x, y = view.to_picture(column + 0.5, row + 0.5)
        inside = part.left <= x < part.left + part.width and part.top <= y < part.top + part.height
        red, green, blue = seen[:, row, column].tolist()
        assert blue == (255 if inside else 0)
        if inside:
            # a centre that lies on the edge between two pixels may come from either
            assert red in {int(x - 1e-6), int(x + 1e-6)}
            assert green in {int(y - 1e-6), int(y + 1e-6)}


def coordinates(width: int, height: int) -> npt.NDArray[np.uint8]:
    pixels = np.full((height, width, 3), 255, np.uint8)
    pixels[:, :, 0] = np.arange(width)
    pixels[:, :, 1] = np.arange(height)[:, None]
    return pixels


# --- very long and thin pictures ---


@pytest.mark.parametrize("name", ["bilinear, 256 to 224", "bicubic, 260 to 256"])
@pytest.mark.parametrize("size", [(30, 900), (900, 30), (500, 375), (3, 2000), (1, 300)], ids=str)
def test_resizing_only_what_is_seen_gives_what_resizing_everything_does(
    name: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    preset = PRESETS[name].transforms()
    # of middling contrast, for where bicubic overshoots 0 or 255 Pillow's order of axes matters
    image = noise(*size).point(lambda level: 64 + level // 2)
    preprocessing = as_preprocessing(preset)
    monkeypatch.setattr(preprocess, "_MOST_RESIZED_PIXELS", 1)

    seen = normalise([shown(image, preprocessing)], preprocessing, CPU)[0]

    levels = (seen - preset(image)) * torch.tensor(preset.std).view(3, 1, 1) * 255
    assert levels.abs().max() < 1.5


def test_a_crop_larger_than_the_picture_is_black_around_it_on_the_direct_way_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    preprocessing = Preprocessing(resize=10, crop_size=(30, 33))
    image = noise(10, 15)
    exact = shown(image, preprocessing)
    monkeypatch.setattr(preprocess, "_MOST_RESIZED_PIXELS", 1)

    assert shown(image, preprocessing).equal(exact)
    assert exact.flatten(1).sum(1).tolist() == np.array(image).sum(axis=(0, 1)).tolist()


@pytest.mark.parametrize("size", [(1, 65_000), (65_000, 1), (3, 60_000)], ids=str)
def test_no_gigantic_picture_is_made_of_a_long_and_thin_one(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    resize = Image.Image.resize

    def watched(image: Image.Image, size: tuple[int, int], *args: Any, **kwargs: Any) -> Any:
        made.append(size[0] * size[1])
        assert made[-1] <= 16_000_000  # before it is made, for the sake of the machine
        return resize(image, size, *args, **kwargs)

    monkeypatch.setattr(Image.Image, "resize", watched)

    seen = shown(noise(*size), Preprocessing())

    assert seen.shape == (3, 224, 224)
    assert seen.float().std() > 10  # of noise there is something to see
    assert made
