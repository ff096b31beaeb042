"""Networks by name: built, loaded, frozen, and refused with the tensor that does not fit."""

import pytest
import torch
import torchvision
from torch import Tensor, nn

from gradcam.errors import SettingsError
from gradcam.networks import architectures, build_network, by_name, freeze, load_network
from hand_networks import pictures

# one of every family that torchvision has, the small ones, and our own; with the input's side
FAMILIES = {
    "alexnet": 64,
    "vgg11_bn": 32,
    "resnet18": 32,
    "densenet121": 32,
    "squeezenet1_0": 32,
    "googlenet": 32,
    "inception_v3": 75,
    "mobilenet_v2": 32,
    "mobilenet_v3_small": 32,
    "mnasnet0_5": 32,
    "shufflenet_v2_x0_5": 32,
    "regnet_x_400mf": 32,
    "regnet_y_400mf": 32,
    "efficientnet_b0": 32,
    "efficientnet_v2_s": 32,
    "convnext_tiny": 32,
    "swin_t": 32,
    "swin_v2_t": 64,
    "maxvit_t": 224,
    "vit_b_32": 224,
    "demo_net": 32,
}


SLOWLY_INITIALISED = {"googlenet", "inception_v3"}


def build(name: str, classes: int = 6) -> nn.Module:
    torch.manual_seed(0)
    options = {"init_weights": False} if name in SLOWLY_INITIALISED else {}
    network = build_network(name, classes, options).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():  # a ViT's head begins with zeros, which would hide everything
                parameter.normal_(0, 0.1)
    return network


@pytest.mark.parametrize("name", FAMILIES)
def test_a_network_loaded_from_weights_computes_what_the_original_does(name: str) -> None:
    original, picture = build(name), pictures(1, FAMILIES[name])

    loaded = load_network(name, 6, original.state_dict())

    with torch.no_grad():
        expected = original(picture)
        assert expected.any()
        assert loaded(picture).equal(expected)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert not any(module.training for module in loaded.modules())
    assert not any(tensor.is_meta for tensor in (*loaded.parameters(), *loaded.buffers()))


def test_every_torchvision_classifier_has_a_name_here() -> None:
    names = architectures()

    assert set(torchvision.models.list_models(module=torchvision.models)) < set(names)
    assert "demo_net" in names
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "name",
    [name for name in architectures() if not name.startswith("regnet")],  # these cannot be on meta
)
def test_every_architecture_is_built_with_the_number_of_classes_asked_for(name: str) -> None:
    with torch.device("meta"):
        network = build_network(
            name, 17, {"init_weights": False} if name in SLOWLY_INITIALISED else {}
        )

    last = [tensor for tensor in network.state_dict().values() if tensor.dim() > 1][-1]
    assert last.shape[0] == 17


def test_the_weights_given_are_used_without_copying_them() -> None:
    state = build("resnet18").state_dict()

    loaded = load_network("resnet18", 6, state)

    assert loaded.get_parameter("fc.weight").data_ptr() == state["fc.weight"].data_ptr()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_weights_are_widened(dtype: torch.dtype) -> None:
    state = {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for name, tensor in build("demo_net").state_dict().items()
    }

    loaded = load_network("demo_net", 6, state)

    for name, tensor in loaded.state_dict().items():
        assert tensor.equal(state[name].float() if tensor.is_floating_point() else state[name])
        assert tensor.dtype in (torch.float32, torch.int64)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_auxiliary_heads_in_the_weights_are_dropped(name: str) -> None:
    whole = torchvision.models.get_model(name, weights=None, init_weights=False, aux_logits=True)
    kept = build_network(name, 1000, {"init_weights": False}).state_dict()
    assert len(whole.state_dict()) > len(kept)

    loaded = load_network(name, 1000, whole.state_dict())

    assert loaded.state_dict().keys() == kept.keys()


def test_a_buffer_that_weights_do_not_hold_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Scaled(nn.Module):
        def __init__(self, num_classes: int) -> None:
            super().__init__()
            self.fc = nn.Linear(3, num_classes)
            self.scale: Tensor
            self.register_buffer("scale", torch.arange(1.0, 4.0), persistent=False)

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.fc(x.mean(dim=(2, 3)) * self.scale)
            return logits

    monkeypatch.setattr(by_name, "_OWN", {"scaled": Scaled})
    weights = {"fc.weight": torch.eye(3), "fc.bias": torch.zeros(3)}

    loaded = load_network("scaled", 3, weights)

    assert loaded(torch.ones(1, 3, 2, 2)).tolist() == [[1, 2, 3]]
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


# --- refusals ---


def test_weights_that_do_not_fit_are_refused_with_the_first_tensor_that_does_not() -> None:
    state = build("demo_net").state_dict()
    without = {name: tensor for name, tensor in state.items() if name != "layer3.0.conv1.weight"}
    misnamed = {f"module.{name}": tensor for name, tensor in state.items()}

    with pytest.raises(SettingsError, match=r"layer3\.0\.conv1\.weight is missing"):
        load_network("demo_net", 6, without)
    with pytest.raises(SettingsError, match=r"stem\.0\.weight is missing"):
        load_network("demo_net", 6, misnamed)
    with pytest.raises(SettingsError, match=r"weights do not fit demo_net: extra is not one of"):
        load_network("demo_net", 6, {**state, "extra": torch.zeros(1)})
    with pytest.raises(
        SettingsError, match=r"fc\.weight has shape \[6, \d+\], expected \[7, \d+\] \(is num_class"
    ):
        load_network("demo_net", 7, state)


def test_an_architecture_that_does_not_exist_is_refused_with_the_closest() -> None:
    with pytest.raises(SettingsError, match=r"'resnet_18' does not exist.*resnet18"):
        build_network("resnet_18", 10)


def test_an_option_that_the_architecture_does_not_take_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"architecture resnet18: .*heads"):
        build_network("resnet18", 10, {"heads": 3})


def test_options_reach_the_constructor() -> None:
    network = build_network("mobilenet_v2", 10, {"dropout": 0.75})

    assert network.get_submodule("classifier.0").p == 0.75


def test_freezing_reaches_every_parameter_and_gives_the_network_back() -> None:
    network = build("demo_net")

    assert freeze(network) is network
    assert not any(parameter.requires_grad for parameter in network.parameters())
