"""Pictures in answers: heat-maps and overlays, within JSON and instead of it."""

import base64
import io
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import sending
from archive_dir import PREPROCESSING, Served, serve, settings
from pictures import Pixels, cat, cat_png, encode, pixels_of, small_cat
from reference import spread

ROUNDED = 0.6  # half a level, and what the region's third decimal does to the interpolation
TYPES = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP"}


def entry_of(served: Served, image: Image.Image, **fields: Any) -> Any:
    document = served.ask(sending.form(image=encode(image), **fields)).document()
    (entry,) = document["explanations"]
    return entry


def open_entry(entry: Any) -> Image.Image:
    assert set(entry) >= {"content_type", "data"}
    image = Image.open(io.BytesIO(base64.b64decode(entry["data"], validate=True)))
    assert image.format
    assert entry["content_type"] == Image.MIME[image.format]
    return image


def overlay_of(served: Served, image: Image.Image, **fields: Any) -> Pixels:
    entry = entry_of(served, image, overlay="png", **fields)
    return np.asarray(open_entry(entry["overlay"]).convert("RGB"))


def inside(region: list[float], image: Image.Image) -> tuple[slice, slice]:
    left, top, width, height = region
    rows = [y for y in range(image.height) if top <= y + 0.5 <= top + height]
    columns = [x for x in range(image.width) if left <= x + 0.5 <= left + width]
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def test_a_grey_map_has_the_picture_s_size_and_is_zero_outside_its_region(served: Served) -> None:
    grid = entry_of(served, small_cat())["heatmap"]
    heatmap = entry_of(served, small_cat(), heatmap="png")["heatmap"]
    assert set(heatmap) == {"height", "width", "max", "region", "content_type", "data"}
    assert {key: heatmap[key] for key in ("height", "width", "max", "region")} == {
        key: grid[key] for key in ("height", "width", "max", "region")
    }
    image = open_entry(heatmap)
    assert (image.format, image.mode, image.size) == ("PNG", "L", small_cat().size)
    levels = np.asarray(image)
    expected = spread(grid["values"], grid["region"], 90, 60)
    assert np.abs(levels - expected * 255).max() <= ROUNDED
    outside = np.ones_like(levels, bool)
    outside[inside(grid["region"], small_cat())] = False
    assert outside.any()
    assert not levels[outside].any()
    assert levels.max() > 200


@pytest.mark.parametrize("picture_type", TYPES)
def test_an_overlay_has_its_type_and_the_picture_s_size(served: Served, picture_type: str) -> None:
    entry = entry_of(served, small_cat(), overlay=picture_type)
    image = open_entry(entry["overlay"])
    assert (image.format, image.mode, image.size) == (TYPES[picture_type], "RGB", (90, 60))
    assert set(entry["overlay"]) == {"content_type", "data"}
    assert "values" in entry["heatmap"]


@pytest.mark.parametrize(
    ("max_side", "size"),
    [("30", (30, 20)), ("45", (45, 30)), ("90", (90, 60)), ("500", (90, 60)), ("0", (90, 60))],
)
def test_max_side_bounds_the_longer_side_of_every_picture(
    served: Served, max_side: str, size: tuple[int, int]
) -> None:
    fields = {"overlay": "jpeg", "heatmap": "png", "max_side": max_side}
    entry = entry_of(served, small_cat(), **fields)
    assert open_entry(entry["overlay"]).size == size
    assert open_entry(entry["heatmap"]).size == size
    assert entry["heatmap"]["region"] == entry_of(served, small_cat())["heatmap"]["region"]


def test_maps_in_smaller_pictures_cover_the_same_part(served: Served) -> None:
    grid = entry_of(served, small_cat())["heatmap"]
    half = [edge / 2 for edge in grid["region"]]
    expected = spread(grid["values"], half, 45, 30) * 255
    fields: dict[str, Any] = {"max_side": 45, "colormap": "gray", "alpha": 1}
    levels = open_entry(entry_of(served, small_cat(), heatmap="png", **fields)["heatmap"])
    assert np.abs(np.asarray(levels) - expected).max() <= ROUNDED
    where = inside(half, small_cat().resize((45, 30)))
    drawn = overlay_of(served, small_cat(), **fields)
    assert drawn.shape == (30, 45, 3)
    assert np.abs(drawn[where] - expected[where][:, :, None]).max() <= ROUNDED
    outside = np.ones((30, 45), bool)
    outside[where] = False
    shrunk = np.asarray(small_cat().reduce(2))
    assert np.abs(drawn[outside].astype(int) - shrunk[outside]).max() <= 1


def test_pictures_are_1600_pixels_long_at_most_unless_asked_otherwise(served: Served) -> None:
    image = cat().resize((3200, 100))
    assert open_entry(entry_of(served, image, overlay="jpeg")["overlay"]).size == (1600, 50)
    entry = entry_of(served, image, overlay="jpeg", max_side=0)
    assert open_entry(entry["overlay"]).size == (3200, 100)


@pytest.mark.parametrize("colormap", ["jet", "turbo", "viridis", "inferno", "magma", "gray"])
def test_an_overlay_blends_the_coloured_map_into_its_region_only(
    served: Served, colormap: str
) -> None:
    heatmap = entry_of(served, small_cat(), heatmap="png")["heatmap"]
    levels = np.asarray(open_entry(heatmap))
    number = getattr(cv2, f"COLORMAP_{colormap.upper()}", None)
    colours = np.repeat(levels[:, :, None], 3, axis=2)
    if number is not None:
        colours = cv2.applyColorMap(levels, number)[:, :, ::-1]
    picture = np.asarray(small_cat())
    expected = picture.astype(np.float64)
    where = inside(heatmap["region"], small_cat())
    expected[where] = 0.25 * expected[where] + 0.75 * colours[where]
    drawn = overlay_of(served, small_cat(), colormap=colormap, alpha=0.75)
    assert np.abs(drawn - expected).max() <= 0.51
    assert (drawn != picture).any()


def test_alpha_0_leaves_the_picture_as_it_is(served: Served) -> None:
    assert (overlay_of(served, small_cat(), alpha=0) == np.asarray(small_cat())).all()


def test_a_rotated_photograph_comes_out_upright(served: Served) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its left side
    data = encode(small_cat().transpose(Image.Transpose.ROTATE_90), exif=exif)
    request = sending.form(image=data, overlay="png", alpha=0, heatmap="png")
    document = served.ask(request).document()
    assert document["image"] == {"width": 90, "height": 60}
    (entry,) = document["explanations"]
    upright = np.asarray(open_entry(entry["overlay"]).convert("RGB"))
    assert (upright == np.asarray(small_cat())).all()
    assert open_entry(entry["heatmap"]).size == (90, 60)
    plain = served.ask(sending.form(image=cat_png(), overlay="png", alpha=0, heatmap="png"))
    assert document == plain.document()


CROP = (20, 10, 50, 40)
CROP_TEXT = "20,10,50,40"


def test_a_crop_is_answered_as_if_that_part_alone_had_been_sent(served: Served) -> None:
    left, top, width, height = CROP
    alone = small_cat().crop((left, top, left + width, top + height))
    for explain in (True, False):
        request = sending.form(explain, image=cat_png(), crop=CROP_TEXT, detail="full")
        whole = served.ask(request).document()
        part = served.ask(sending.form(explain, image=encode(alone), detail="full")).document()
        assert whole["image"] == {"width": 90, "height": 60}
        assert whole["predictions"] == part["predictions"]
        if explain:
            ours, theirs = (one["explanations"][0]["heatmap"] for one in (whole, part))
            assert ours["values"] == theirs["values"]
            shifted = [a + b for a, b in zip(theirs["region"], (left, top, 0, 0), strict=True)]
            assert ours["region"] == pytest.approx(shifted, abs=2e-3)


def test_a_crop_is_painted_inside_only_and_the_rest_equals_the_picture(served: Served) -> None:
    left, top, width, height = CROP
    drawn = overlay_of(served, small_cat(), crop=CROP_TEXT, alpha=1)
    changed = (drawn != np.asarray(small_cat())).any(axis=2)
    assert changed.any()
    changed[top : top + height, left : left + width] = False
    assert not changed.any()
    heatmap = entry_of(served, small_cat(), crop=CROP_TEXT, heatmap="png")["heatmap"]
    levels = np.array(open_entry(heatmap))
    assert levels.any()
    levels[top : top + height, left : left + width] = 0
    assert not levels.any()


def test_a_crop_refers_to_the_upright_picture_and_must_lie_in_it(served: Served) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = encode(small_cat().transpose(Image.Transpose.ROTATE_90), exif=exif)
    assert served.ask(sending.form(image=lying, crop="0,0,90,60")).status == 200
    for crop in ("0,0,60,90", "1,0,90,60", "0,1,90,60", "90,60,1,1"):
        message = served.ask(sending.form(image=lying, crop=crop)).refused(422)
        assert crop in message
        assert "90×60" in message


@pytest.mark.parametrize("picture_type", TYPES)
def test_accept_answers_with_the_overlay_itself(served: Served, picture_type: str) -> None:
    answer = served.ask(sending.raw(cat_png(), accept=f"image/{picture_type}, application/json"))
    assert (answer.status, answer.content_type) == (200, f"image/{picture_type}")
    wrapped = entry_of(served, small_cat(), overlay=picture_type)["overlay"]
    assert answer.body == base64.b64decode(wrapped["data"])


def test_several_targets_are_panels_side_by_side_in_order(served: Served) -> None:
    headers = {"Accept": "image/png", "X-Explain-Target": "9,0,4"}
    panels = pixels_of(served.ask(sending.form(headers=headers, image=cat_png())).body)
    assert panels.shape == (60, 3 * 90, 3)
    for place, target in enumerate((9, 0, 4)):
        alone = overlay_of(served, small_cat(), target=target)
        assert (panels[:, place * 90 : (place + 1) * 90] == alone).all()
    assert (panels[:, :90] != panels[:, 90:180]).any()


def test_accept_counts_on_explanations_only_and_json_goes_first_where_it_stands_first(
    served: Served,
) -> None:
    plain = served.ask(sending.raw(cat_png()))
    assert served.ask(sending.raw(cat_png(), Accept="application/json, image/png")) == plain
    assert served.ask(sending.raw(cat_png(), Accept="*/*")) == plain
    labels = served.ask(sending.raw(cat_png(), False, Accept="image/png"))
    assert labels == served.ask(sending.raw(cat_png(), False))


def test_errors_stay_json_whatever_is_accepted(served: Served) -> None:
    assert served.ask(sending.raw(b"hello", Accept="image/png")).refused(415)
    wrong = sending.raw(cat_png(), Accept="image/png", X_Explain_Target="unicorn")
    assert served.ask(wrong).refused(422)


def test_one_instance_may_be_answered_with_a_picture_but_several_not(served: Served) -> None:
    instance = {"b64": sending.b64(cat_png())}
    one = sending.body({"instances": [instance]}, Accept="image/png")
    assert pixels_of(served.ask(one).body).shape == (60, 90, 3)
    several = sending.body({"instances": [instance] * 2}, Accept="image/png")
    assert "several instances" in served.ask(several).refused(422)


def test_a_crop_of_other_proportions_is_painted_inside_only(served: Served) -> None:
    # the network saw black on both sides of the part, and a map there belongs to no picture
    wide = {"resize": 24, "crop_size": [24, 48]}
    own = serve(served.folder, settings(preprocessing={**PREPROCESSING, **wide}))
    drawn = overlay_of(own, small_cat(), crop="30,10,40,40", alpha=1)
    inside = np.zeros((60, 90), bool)
    inside[10:50, 30:70] = True
    changed = (np.asarray(drawn) != np.asarray(small_cat())).any(axis=2)
    assert changed[inside].mean() > 0.9
    assert not changed[~inside].any()
    grey = entry_of(own, small_cat(), crop="30,10,40,40", heatmap="png")["heatmap"]
    assert not pixels_of(base64.b64decode(grey["data"]))[~inside].any()
