"""Which layer is the default, on networks that each have one peculiarity."""

from collections import OrderedDict
from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - everybody calls it that

from gradcam.survey.layers import Layer, LayerTable, survey_layers
from hand_networks import Branching, Classifier, Passing, Sided, Skipping, Twice, frozen, pictures


def survey(network: nn.Module, side: int = 12) -> LayerTable:
    return survey_layers(frozen(network), pictures(1, side))


def default(body: nn.Module, after: Callable[[Tensor], Tensor] | None = None) -> str | None:
    return survey(Classifier(body, after)).default


def conv(channels: int = 3, size: int = 3) -> nn.Module:
    return nn.Conv2d(channels, 6, size)


class Rest(nn.Module):
    """Calls a function, in a module of its own around another."""

    def __init__(self, inner: nn.Module, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.inner = inner
        self._function = function

    def forward(self, x: Tensor) -> Tensor:
        return self._function(self.inner(x))


# --- the last feature map, before the pooling ---


def test_the_outermost_of_the_modules_that_give_the_last_feature_map() -> None:
    assert default(nn.Sequential(nn.Sequential(conv(), nn.Sequential(nn.ReLU())))) == "body"


def test_a_functional_relu_after_the_last_module_does_not_matter() -> None:
    assert default(nn.Sequential(conv()), after=F.relu) == "body"


@pytest.mark.parametrize(
    "pooling", [nn.MaxPool2d(2), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(3), nn.AdaptiveMaxPool2d(3)]
)
def test_pooling_that_ends_the_features_is_left_out(pooling: nn.Module) -> None:
    assert default(nn.Sequential(conv(), nn.ReLU(inplace=True), pooling)) == "body.1"


@pytest.mark.parametrize(
    "pool",
    [
        lambda x: F.max_pool2d(x, 2),
        lambda x: F.avg_pool2d(x, 2),
        lambda x: F.adaptive_avg_pool2d(x, 3),
        lambda x: x.mean(dim=(2, 3), keepdim=True),
        lambda x: x.mean(dim=3, keepdim=True),
    ],
)
def test_pooling_by_a_function_is_left_out_too(pool: Callable[[Tensor], Tensor]) -> None:
    assert default(Rest(nn.Sequential(conv(), nn.ReLU()), pool)) == "body.inner"


def test_pooling_in_the_middle_does_not_matter() -> None:
    assert default(nn.Sequential(conv(), nn.MaxPool2d(2), conv(6), nn.ReLU())) == "body"


@pytest.mark.parametrize("wrapper", [nn.Identity(), nn.Dropout(), nn.Dropout2d(inplace=True)])
def test_modules_that_hand_on_their_input_are_ignored(wrapper: nn.Module) -> None:
    body = nn.Sequential(OrderedDict(features=nn.Sequential(conv(), nn.ReLU()), wrapper=wrapper))

    # the whole of the body gives the same tensor and is the outermost
    assert default(body) == "body"
    # here nothing is around both
    assert survey(Rest(Classifier(Rest(body, F.relu)), nn.Identity())).default == "inner.body"
    assert default(nn.Sequential(conv(), nn.ReLU(), wrapper, nn.MaxPool2d(2))) == "body.1"


def test_of_a_module_that_is_called_again_the_last_call_counts() -> None:
    assert survey(Classifier(Rest(Twice(), lambda x: x * 2))).default == "body"
    assert default(Rest(Twice(), lambda x: F.max_pool2d(x, 2))) == "body.inner"

    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last, self.relu = conv(), conv(6), nn.ReLU()
            self.fc = nn.Linear(6, 5)

        def forward(self, x: Tensor) -> Tensor:
            x = self.relu(self.last(self.relu(self.first(x))))
            logits: Tensor = self.fc(x.mean(dim=(2, 3)))
            return logits

    table = survey(Plain())
    assert table.candidates == ("first", "last", "relu")
    assert table.default == "relu"


# --- every path passes there ---


def test_a_layer_with_a_way_around_it_is_no_default() -> None:
    table = survey(Classifier(Skipping()))
    assert "body.late" in table.usable
    assert table.candidates == ("body.stem", "body")

    class Bypassed(nn.Module):
        def __init__(self, combine: Callable[[Tensor, Tensor], Tensor]) -> None:
            super().__init__()
            self.early, self.late, self.fc = conv(), conv(6, 1), nn.Linear(6, 5)
            self._combine = combine

        def forward(self, x: Tensor) -> Tensor:
            x = self.early(x)
            x = self._combine(x, self.late(x))
            logits: Tensor = self.fc(x.mean(dim=(2, 3)))
            return logits

    for combine in (torch.add, lambda x, y: x * y.sigmoid(), lambda x, y: torch.cat([x, y], dim=2)):
        table = survey(Bypassed(combine))
        assert table.default == "early"
        assert table.usable == ("early", "late")
    assert survey(Bypassed(lambda _, late: late)).default == "late"


def test_branches_count_only_where_they_meet() -> None:
    table = survey(Classifier(Branching()))

    assert table.candidates == ("body.stem", "body")
    assert table.usable == ("body", "body.stem", "body.left", "body.right")
    assert default(Rest(Branching(), lambda x: F.max_pool2d(x, 2))) == "body.inner"


def test_an_input_that_also_reaches_the_logits_directly_leaves_no_default() -> None:
    class Around(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = conv(), nn.Linear(6, 5)

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.fc(self.conv(x).mean(dim=(2, 3)))
            return logits + x.mean()

    table = survey(Around())
    assert table.default is None
    assert "no feature map" in table.why_no_default


def test_layers_that_lead_nowhere_are_not_offered() -> None:
    table = survey(Classifier(Sided()))

    assert table.usable == ("body", "body.conv")
    assert table.candidates == ("body",)


# --- stacks of class maps ---


class ClassMaps(nn.Module):
    """Ends in one map per class, and their means."""

    def __init__(self, *last: nn.Module) -> None:
        super().__init__()
        self.features = nn.Sequential(conv(), nn.ReLU())
        self.classifier = nn.Sequential(nn.Dropout(), nn.Conv2d(6, 5, 1), *last)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x)).flatten(2).mean(dim=2)
        return logits


def test_a_stack_of_class_maps_is_no_default() -> None:
    assert survey(ClassMaps()).default == "features"
    assert survey(ClassMaps(nn.ReLU(inplace=True))).default == "features"
    table = survey(ClassMaps(nn.ReLU(), nn.AdaptiveAvgPool2d(1)))
    assert table.default == "features"
    assert "classifier.2" in table.usable


def test_as_many_channels_as_classes_are_no_class_maps_by_that_alone() -> None:
    network = Classifier(nn.Sequential(conv(), nn.ReLU()))
    network.fc = nn.Linear(6, 6)

    assert survey(network).default == "body"
    assert survey(torchvision.models.resnet18(num_classes=512), 64).default == "layer4"

    with torch.no_grad():  # logits that depend on nothing say nothing about the channels either
        frozen(network).get_parameter("fc.weight").zero_()
    assert survey_layers(network, pictures(1)).default == "body"


# --- sizes, tokens, names ---


def test_a_last_stage_of_one_cell_is_passed_over() -> None:
    table = survey(torchvision.models.resnet18(num_classes=10), 32)

    assert table.default == "layer3"
    assert table.modules["layer3"] == Layer("layer3", 256, 2, 2)
    assert table.modules["layer4"] == "has a 1×1 output, and a map of one cell says nothing"


def test_tokens_before_the_last_feature_map_do_not_matter() -> None:
    class Hybrid(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.mix, self.conv = conv(), nn.Linear(6, 6), conv(6)

        def forward(self, x: Tensor) -> Tensor:
            x = self.stem(x)
            tokens = self.mix(x.flatten(2).transpose(1, 2))
            features: Tensor = self.conv(tokens.transpose(1, 2).reshape(x.shape))
            return features

    assert default(Hybrid()) == "body"


def test_names_do_not_matter() -> None:
    body = nn.Sequential(
        OrderedDict(avgpool=conv(), fc=nn.Sequential(nn.ReLU()), features=nn.MaxPool2d(2))
    )

    assert default(body) == "body.fc"


def test_no_name_means_the_default() -> None:
    table = survey(Classifier(Passing(nn.Identity())))

    assert table.choose(None) == table.modules["body"] == Layer("body", 6, 10, 10, linear_head=True)
