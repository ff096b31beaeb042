from dataclasses import fields

import pytest

from gradcam.errors import SettingsError
from gradcam.settings import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Execution,
    Limits,
    Preprocessing,
    read_settings,
)

LEAST: dict[str, object] = {"architecture": "resnet18", "num_classes": 10}


def refusal(config: object) -> str:
    with pytest.raises(SettingsError) as caught:
        read_settings(config)
    message = str(caught.value)
    assert "\n" not in message
    return message


def section(**values: object) -> dict[str, object]:
    return {"handler": {"gradcam": {**LEAST, **values}}}


def test_two_settings_are_enough_and_the_rest_has_the_documented_defaults() -> None:
    settings = read_settings(section())
    assert (settings.architecture, settings.num_classes) == ("resnet18", 10)
    assert (settings.layer, settings.method) == ((), "gradcam")
    assert settings.architecture_options == {}
    assert (settings.source, settings.output) == ("torchvision", None)
    assert settings.activation == "softmax"
    shown = settings.preprocessing
    assert (shown.resize, shown.crop_size, shown.squash) == (256, (224, 224), False)
    assert (shown.interpolation, shown.mean, shown.std) == ("bilinear", IMAGENET_MEAN, IMAGENET_STD)
    assert settings.limits.max_targets == 16
    assert settings.limits.max_answer_bytes == 6_000_000  # TorchServe kills beyond 6,553,500


def test_every_setting_is_read() -> None:
    settings = read_settings(
        section(
            source="timm",
            architecture_options={"transform_input": True},
            output="logits",
            activation="sigmoid",
            layer="layer3",
            method="gradcam",
            preprocessing={
                "resize": 300,
                "crop_size": [200, 280],
                "squash": True,
                "interpolation": "bicubic",
                "reduced_decoding": True,
                "mean": [0, 0.5, 1],
                "std": [1, 2, 3.5],
            },
            limits={field.name: number for number, field in enumerate(fields(Limits), 1)},
            execution={
                "precision": "bf16",
                "channels_last": False,
                "compile": True,
                "threads": 3,
                "warm_up": True,
                "cuda_graphs": False,
            },
        )
    )
    assert settings.architecture_options == {"transform_input": True}
    assert settings.layer == ("layer3",)
    assert (settings.source, settings.output, settings.activation) == ("timm", "logits", "sigmoid")
    assert settings.preprocessing == Preprocessing(
        300, (200, 280), True, "bicubic", True, (0.0, 0.5, 1.0), (1.0, 2.0, 3.5)
    )
    assert settings.limits == Limits(*range(1, len(fields(Limits)) + 1))
    assert settings.execution == Execution("bf16", False, True, 3, True, False)


def test_one_number_is_a_square_crop_and_empty_sections_are_the_defaults() -> None:
    settings = read_settings(section(preprocessing={"crop_size": 96}, limits=None))
    assert settings.preprocessing.crop_size == (96, 96)
    assert settings.limits == Limits()


def test_several_layers_and_an_output_by_its_place() -> None:
    settings = read_settings(section(layer=["layer3", "layer4"], output=1))
    assert (settings.layer, settings.output) == (("layer3", "layer4"), 1)


@pytest.mark.parametrize(
    ("num_classes", "activation", "named"),
    [(1, "sigmoid", 2), (1, "none", 2), (5, "sigmoid", 5), (5, "softmax", 5)],
)
def test_one_logit_names_two_classes(num_classes: int, activation: str, named: int) -> None:
    settings = read_settings(section(num_classes=num_classes, activation=activation))
    assert settings.class_count == named


def test_one_logit_has_a_sigmoid_and_no_softmax() -> None:
    assert read_settings(section(num_classes=1)).activation == "sigmoid"
    assert read_settings(section(num_classes=2)).activation == "softmax"
    message = refusal(section(num_classes=1, activation="softmax"))
    assert "activation" in message
    assert "give sigmoid or none" in message


@pytest.mark.parametrize(
    "config",
    [None, {}, [], "handler", {"handler": None}, {"handler": {}}, {"handler": {"gradcam": None}}],
)
def test_a_missing_section_is_named_with_what_it_holds(config: object) -> None:
    message = refusal(config)
    assert "handler: gradcam" in message
    assert "architecture, num_classes" in message


@pytest.mark.parametrize("key", ["architecture", "num_classes"])
def test_what_must_be_there_is_named_when_it_is_missing(key: str) -> None:
    values = {name: value for name, value in LEAST.items() if name != key}
    assert f"{key} is missing" in refusal({"handler": {"gradcam": values}})


@pytest.mark.parametrize(
    ("values", "path", "nearest"),
    [
        ({"architectur": "x"}, "handler: gradcam", "'architecture'"),
        ({"lyer": "x"}, "handler: gradcam", "'layer'"),
        ({"preprocessing": {"cropsize": 3}}, "preprocessing", "'crop_size'"),
        ({"limits": {"max_target": 3}}, "limits", "'max_targets'"),
        ({"execution": {"precison": "bf16"}}, "execution", "'precision'"),
        ({5: "x"}, "handler: gradcam", "did you mean"),
    ],
)
def test_an_unknown_key_is_told_the_nearest(
    values: dict[str, object], path: str, nearest: str
) -> None:
    message = refusal({"handler": {"gradcam": {**LEAST, **values}}})
    assert path in message
    assert nearest in message
    assert repr(next(iter(values))) in message or path in ("preprocessing", "limits", "execution")


WHOLE = ["5", 0, -1, 1.5, True, None, [1], float("nan")]
TEXT = ["", 5, True, ["x"]]
LAYERS = ["", 5, True, [], [5], ["x", ""], {"x": 1}]
ODD_MAPPINGS: list[object] = [None, [], "x", {1: 2}]


@pytest.mark.parametrize(
    ("key", "wrong", "allowed"),
    [
        *[("num_classes", value, "a whole number from 1 to 1000000") for value in WHOLE],
        *[("architecture", value, "a name") for value in [*TEXT, None]],
        *[("layer", value, "a name, or a list of names") for value in LAYERS],
        ("layer", ["x", "y", "x"], "a list of different names"),
        *[
            ("source", value, "one of torchvision, timm, file, exported")
            for value in ["hub", "", None, 1, ["timm"]]
        ],
        *[
            ("activation", value, "one of softmax, sigmoid, none")
            for value in ["relu", "", None, True, ["sigmoid"]]
        ],
        *[
            ("output", value, "the name of an output, or its place, counted from 0")
            for value in ["", True, 1.5, -1, 101, ["logits"]]
        ],
        *[("method", value, "one of gradcam") for value in ["guidedcam", "", None, 5, ["gradcam"]]],
        *[("architecture_options", value, "a mapping") for value in ODD_MAPPINGS],
        *[("preprocessing", value, "mapping of resize") for value in [[], "x", 5]],
        *[("limits", value, "mapping of max_bytes") for value in [[], "x", 5]],
    ],
)
def test_a_wrong_value_is_told_the_key_and_what_it_takes(
    key: str, wrong: object, allowed: str
) -> None:
    message = refusal(section(**{key: wrong}))
    assert f"handler: gradcam: {key}: " in message
    assert allowed in message


@pytest.mark.parametrize(
    ("key", "wrong", "allowed"),
    [
        *[("resize", value, "a whole number from 1 to 4096") for value in [*WHOLE, 4097]],
        *[
            ("crop_size", value, "a whole number from 1 to 4096")
            for value in [*WHOLE, [1, 2, 3], [0, 5], [5, "5"], 4097]
        ],
        *[("squash", value, "true or false") for value in [1, "true", None]],
        *[
            ("interpolation", value, "one of nearest, bilinear, bicubic, lanczos")
            for value in ["Bilinear", "", 2, None]
        ],
        *[
            (key, value, "a list of three numbers")
            for key in ("mean", "std")
            for value in [0.5, [0.5, 0.5], [1, 2, "3"], [1, 2, True], [1, 2, float("inf")], None]
        ],
        *[("std", value, "three positive numbers") for value in [[0, 1, 1], [-1, 1, 1]]],
    ],
)
def test_a_wrong_value_of_the_preprocessing_is_told_the_same(
    key: str, wrong: object, allowed: str
) -> None:
    message = refusal(section(preprocessing={key: wrong}))
    assert f"handler: gradcam: preprocessing: {key}: " in message
    assert allowed in message


@pytest.mark.parametrize("field", fields(Limits), ids=lambda field: str(field.name))
@pytest.mark.parametrize("wrong", [*WHOLE, 2**31])
def test_a_wrong_limit_is_told_the_same(field: object, wrong: object) -> None:
    name = getattr(field, "name", "")
    message = refusal(section(limits={name: wrong}))
    assert f"handler: gradcam: limits: {name}: " in message
    assert "a whole number from 1 to " in message


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("precision", "fp8", "one of fp32, bf16, fp16"),
        ("channels_last", "yes", "true, false or auto"),
        ("channels_last", 1, "true, false or auto"),
        ("compile", "true", "true or false"),
        ("threads", -1, "a whole number from 0 to 1024"),
        ("threads", 1.5, "a whole number from 0 to 1024"),
        ("warm_up", None, "true or false"),
        ("cuda_graphs", 0, "true or false"),
    ],
)
def test_how_to_compute_is_checked_too(name: str, value: object, wanted: str) -> None:
    message = refusal(section(execution={name: value}))
    assert f"handler: gradcam: execution: {name}: {value!r} is not {wanted}" in message


def test_what_is_compiled_is_compiled_while_it_warms_up() -> None:
    message = refusal(section(execution={"compile": True, "warm_up": False}))
    assert "execution: warm_up: False is not for a network to be compiled" in message


def test_channels_last_is_automatic_unless_it_is_told() -> None:
    assert read_settings(section()).execution.channels_last is None
    assert read_settings(section(execution={"channels_last": "auto"})).execution == Execution()
