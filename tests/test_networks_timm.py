"""timm's networks by name; and a missing timm, which is named with the command that installs it."""

import importlib

import pytest
import timm
import torch

from gradcam.errors import SettingsError
from gradcam.networks import build_network, load_network
from hand_networks import pictures

# one that can be built without values, one that cannot, and one with a tag
NAMES = ("resnet10t", "convnext_atto", "resnet10t.c3_in1k")


@pytest.mark.parametrize("name", NAMES)
def test_a_network_loaded_from_weights_computes_what_timms_does(name: str) -> None:
    torch.manual_seed(2)
    original = timm.create_model(name, num_classes=6).eval()
    loaded = load_network(name, 6, original.state_dict(), source="timm")
    with torch.no_grad():
        expected = original(pictures(1, 64))
        assert expected.any()
        assert loaded(pictures(1, 64)).equal(expected)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert not any(tensor.is_meta for tensor in (*loaded.parameters(), *loaded.buffers()))


def test_options_reach_timm() -> None:
    network = build_network("resnet10t", 3, {"output_stride": 8}, "timm")
    features = timm.create_model("resnet10t", num_classes=3, output_stride=8).forward_features
    with torch.no_grad():
        assert network.forward_features(pictures(1, 64)).shape == features(pictures(1, 64)).shape  # type: ignore[operator]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("resnet_10t", ["no architecture 'resnet_10t'", "resnet10t"]),
        ("hf_hub:timm/resnet10t", ["no architecture"]),
        ("resnet10t.nowhere", ["no pretrained tag 'resnet10t.nowhere'", "c3_in1k"]),
    ],
)
def test_a_name_that_timm_does_not_know_is_refused(name: str, parts: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        load_network(name, 6, {}, source="timm")
    for part in parts:
        assert part in str(caught.value)


def test_an_option_that_timm_does_not_take_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"architecture resnet10t: .*heads"):
        load_network("resnet10t", 6, {}, {"heads": 3}, "timm")


def test_a_missing_timm_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def import_module(name: str) -> object:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(importlib, "import_module", import_module)
    with pytest.raises(SettingsError, match=r"module timm is missing.*-m pip install timm$"):
        load_network("resnet10t", 6, {}, source="timm")
    assert load_network("demo_net", 6, build_network("demo_net", 6).state_dict())
