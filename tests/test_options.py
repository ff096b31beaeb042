import math

import pytest

from archive_dir import vocabulary
from gradcam.engine.targets import Difference, Top
from gradcam.errors import InvalidOption, UnusableLayer
from gradcam.geometry import Box
from gradcam.request.option_values import choice
from gradcam.request.options import OPTIONS, Options, parse_options

HUGE = 10**400


def parse(**sent: object) -> Options:
    return parse_options(sent, vocabulary())


def refusal(**sent: object) -> str:
    with pytest.raises(InvalidOption) as caught:
        parse(**sent)
    message = str(caught.value)
    assert len(message) < 600
    return message


def test_the_defaults_are_the_contract_s() -> None:
    assert parse() == Options(
        target=(Top(1),),
        method="gradcam",
        layer=("layer2",),
        fuse="mean",
        smooth=0,
        noise=0.15,
        seed=0,
        flip=False,
        call=-1,
        score=False,
        top_k=5,
        detail="labels",
        heatmap="grid",
        scale="own",
        threshold=0.15,
        overlay="none",
        max_side=1600,
        colormap="jet",
        alpha=0.4,
        crop=None,
    )


def test_the_contract_s_options_are_all_there_are() -> None:
    assert list(OPTIONS) == list(Options.__dataclass_fields__)
    assert list(OPTIONS) == [
        *("target", "method", "layer", "fuse", "smooth", "noise", "seed", "flip", "call", "score"),
        *("top_k", "detail", "heatmap", "scale", "threshold", "overlay", "max_side", "colormap"),
        *("alpha", "crop"),
    ]


@pytest.mark.parametrize(
    ("name", "sent", "expected"),
    [
        ("target", "tabby,top2", (0, Top(2))),
        ("method", "gradcam", "gradcam"),
        ("method", " GradCAM ", "gradcam"),
        ("target", "tabby~seven,3", (Difference(0, 6), 3)),
        ("layer", "layer3", ("layer3",)),
        ("layer", " layer1.0.conv2 ", ("layer1.0.conv2",)),
        ("layer", "layer1, layer3", ("layer1", "layer3")),
        ("layer", "layer3,layer1,layer3", ("layer3", "layer1")),
        ("layer", ["layer1", "layer3"], ("layer1", "layer3")),
        ("layer", '["layer1", "layer3"]', ("layer1", "layer3")),
        *[("fuse", value, value) for value in ("mean", "max")],
        ("smooth", "8", 8),
        ("smooth", 0, 0),
        ("noise", "0.3", 0.3),
        ("noise", 1, 1.0),
        ("seed", "2147483647", 2**31 - 1),
        ("seed", 7, 7),
        *[(name, "true", True) for name in ("flip", "score")],
        *[(name, " False ", False) for name in ("flip", "score")],
        *[(name, value, value) for name in ("flip", "score") for value in (True, False)],
        ("call", "0", 0),
        ("call", -2, -2),
        *[("scale", value, value) for value in ("own", "shared")],
        ("threshold", "0", 0.0),
        ("threshold", 0.5, 0.5),
        ("top_k", "1", 1),
        ("top_k", 7, 7),
        ("top_k", 7.0, 7),
        ("top_k", "1000000", 1_000_000),
        ("detail", "full", "full"),
        ("detail", "LABELS", "labels"),
        *[("heatmap", value, value) for value in ("grid", "png", "none")],
        *[("overlay", value, value) for value in ("none", "jpeg", "png", "webp")],
        ("max_side", "0", 0),
        ("max_side", 5000, 5000),
        *[
            ("colormap", value, value)
            for value in ("jet", "turbo", "viridis", "inferno", "magma", "gray")
        ],
        ("alpha", "0", 0.0),
        ("alpha", 1, 1.0),
        ("alpha", " 0.25 ", 0.25),
        ("crop", "1,2,30,40", Box(1, 2, 30, 40)),
        ("crop", " 1 , 2 , 30 , 40 ", Box(1, 2, 30, 40)),
        ("crop", [0, 0, 1, 1], Box(0, 0, 1, 1)),
        ("crop", ["1", 2.0, 3, 4], Box(1, 2, 3, 4)),
    ],
)
def test_a_right_value_is_read_as_text_as_bytes_or_as_json_has_it(
    name: str, sent: object, expected: object
) -> None:
    assert getattr(parse(**{name: sent}), name) == expected
    if isinstance(sent, str):
        assert getattr(parse(**{name: bytearray(sent.encode())}), name) == expected


WRONG_NUMBERS = ["", "five", "1.5", "1,5", "-1", -1, 1.5, True, [1], {}, math.nan, math.inf, "nan"]


@pytest.mark.parametrize(
    ("name", "wrong", "allowed"),
    [
        *[
            ("method", value, "one of gradcam")
            for value in ["", "guidedcam", 5, True, ["gradcam"], {}]
        ],
        *[("top_k", value, "a whole number from 1 up") for value in [*WRONG_NUMBERS, 0, HUGE]],
        *[("max_side", value, "a whole number from 0 up") for value in [*WRONG_NUMBERS, "1e999"]],
        *[
            (name, value, "a number from 0 to 1")
            for name in ("alpha", "noise", "threshold")
            for value in ["", "x", -0.1, 1.1, "2", True, math.nan, "inf", HUGE, [0.5]]
        ],
        *[("smooth", value, "a whole number from 0 up") for value in WRONG_NUMBERS],
        *[
            ("seed", value, "a whole number from 0 to 2147483647")
            for value in [*WRONG_NUMBERS, 2**31, HUGE]
        ],
        *[
            ("call", value, "a whole number from -10000 to 10000")
            for value in ["", "last", "1.5", True, [1], {}, math.nan, 10_001, -10_001]
        ],
        *[
            (name, value, "true or false")
            for name in ("flip", "score")
            for value in ["", "yes", "1", 1, 0, 1.0, [True], {}]
        ],
        *[("fuse", value, "one of mean, max") for value in ["", "min", 1, ["mean"]]],
        *[("scale", value, "one of own, shared") for value in ["", "both", True]],
        *[("detail", value, "one of labels, full") for value in ["", "all", 1, {}]],
        *[("heatmap", value, "one of grid, png, none") for value in ["", "jpeg", False]],
        *[("overlay", value, "one of none, png, jpeg, webp") for value in ["jpg", "", True]],
        *[
            ("colormap", value, "one of jet, turbo, viridis, inferno, magma, gray")
            for value in ["", "grey", "hot", 0]
        ],
        *[
            ("crop", value, "left,top,width,height in whole pixels")
            for value in [
                *("", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1.5,0,2,2", "-1,0,2,2", "0,0,0,5"),
                *("0,0,5,0", "1 2 3 4", "1,2,3,", f"0,0,{HUGE},1", 5, True, {}, []),
                *([1, 2, 3], [1, 2, 3, True], [1, 2, 3, None], [[1, 2, 3, 4]]),
            ]
        ],
        *[
            ("layer", value, "the dotted name of a module, or a list of them")
            for value in [5, True, {}, [], "[", [5], ["layer3", None], [["layer3"]], "[1]"]
        ],
    ],
)
def test_a_wrong_value_is_told_what_is_allowed(name: str, wrong: object, allowed: str) -> None:
    message = refusal(**{name: wrong})
    assert message.startswith(name)
    assert allowed in message


@pytest.mark.parametrize(
    ("name", "wrong", "nearest"),
    [
        ("overlay", "jpg", "did you mean jpeg?"),
        ("colormap", "grey", "did you mean gray?"),
        ("colormap", "Viridius", "did you mean viridis?"),
        ("detail", "ful", "did you mean full?"),
        ("layer", "layr3", "layer3"),
        ("layer", "layer4", "layer3"),
    ],
)
def test_a_near_miss_is_told_the_nearest(name: str, wrong: str, nearest: str) -> None:
    assert nearest in refusal(**{name: wrong})


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        ("pool", "1×1"),
        ("fc", "not channels with a height and a width"),
        ("", "does not exist"),
        ("layer1,pool", "1×1"),
        ("layer1,", "does not exist"),
    ],
)
def test_a_layer_that_no_map_can_be_made_at_names_a_usable_one(layer: str, reason: str) -> None:
    with pytest.raises(UnusableLayer) as caught:
        parse(layer=layer)
    assert reason in str(caught.value)
    assert "layer3" in str(caught.value)
    assert caught.value.status == 422


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("tagret", "'target'"),
        ("Target", "'target'"),
        ("topk", "'top_k'"),
        ("colourmap", "'colormap'"),
        ("max-side", "'max_side'"),
        ("", "did you mean"),
        ("x" * 10_000, "did you mean"),
    ],
)
def test_an_unknown_option_is_told_the_nearest_and_all(name: str, nearest: str) -> None:
    message = refusal(**{name: "1"})
    assert "does not exist" in message
    assert nearest in message
    assert ", ".join(OPTIONS) in message


def test_asking_to_explain_in_an_option_is_told_that_the_path_decides() -> None:
    assert "/explanations" in refusal(explain="true")


def test_null_is_as_if_the_option_had_not_been_sent() -> None:
    assert parse(**dict.fromkeys(OPTIONS)) == parse()


def test_bytes_that_are_not_utf8_are_refused() -> None:
    assert refusal(target=bytearray(b"\xff\xfe")) == "option 'target' is not UTF-8 text"


def test_labels_beyond_ascii_are_read_from_bytes() -> None:
    assert parse(target=bytearray('["SCHÄFERHUND, deutscher"]'.encode())).target == (5,)


def test_layers_are_at_most_so_many() -> None:
    assert parse(layer=["layer3"] * 16).layer == ("layer3",)
    assert refusal(layer=["layer3"] * 17) == "layer lists 17 names; at most 16 are read"


def test_gradcam_with_two_pluses_can_be_spelt_without() -> None:
    read = choice(("gradcam", "gradcam++"), {"gradcampp": "gradcam++"})
    assert [read("method", text) for text in ("gradcam++", "GradCAMpp", "gradcam")] == [
        *("gradcam++", "gradcam++", "gradcam")
    ]
    with pytest.raises(InvalidOption, match="one of gradcam, gradcam"):
        read("method", "gradcamp")
