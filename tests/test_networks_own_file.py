"""The user's own model file: its one class, built around weights; and what is refused."""

from pathlib import Path

import pytest
import torch

from gradcam.errors import SettingsError
from gradcam.networks import load_own, read_class
from hand_networks import pictures

FILE = """
from dataclasses import dataclass

import torch
from torch import nn
from torchvision.models import ResNet


@dataclass
class Widths:
    first: int


class Small(nn.Module):
    class Gate(nn.Module):
        def forward(self, x):
            return x * x.sigmoid()

    def __init__(self, classes=3, width=4):
        super().__init__()
        self.conv = nn.Conv2d(3, Widths(width).first, 3)
        self.gate = self.Gate()
        self.fc = nn.Linear(width, classes)
        self.register_buffer("shift", torch.full((1,), 0.25), persistent=False)

    def forward(self, x):
        return self.fc(self.gate(self.conv(x)).mean((2, 3)) + self.shift)


Net = Small
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.py"
    path.write_text(FILE)
    return path


def refusal(path: Path, state: dict[str, torch.Tensor] | None = None, **options: object) -> str:
    with pytest.raises(SettingsError) as caught:
        load_own(path, state or {}, options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_the_one_class_is_built_around_its_weights(file: Path) -> None:
    torch.manual_seed(1)
    source = read_class(file)(classes=6, width=5).eval()

    loaded = load_own(file, source.state_dict(), {"classes": 6, "width": 5})

    assert type(loaded).__name__ == "Small"
    with torch.no_grad():
        assert loaded(pictures(2)).equal(source(pictures(2)))
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert not any(module.training for module in loaded.modules())


def test_half_precision_weights_are_widened_before_they_go_in(file: Path) -> None:
    text = FILE.replace(
        "        self.register_buffer", "        self.half()\n        self.register_buffer"
    )
    file.write_text(text)
    state = {
        name: torch.full_like(value, 1 / 3)
        for name, value in read_class(file)().state_dict().items()
    }
    wide = {name: value.float() + 1e-5 for name, value in state.items()}

    loaded = load_own(file, wide)

    assert all(loaded.state_dict()[name].equal(wide[name]) for name in wide)
    assert all(value.dtype == torch.float32 for value in loaded.state_dict().values())


def test_nothing_is_left_beside_the_file(file: Path) -> None:
    read_class(file)
    assert [path.name for path in file.parent.iterdir()] == ["small.py"]


def test_two_files_of_one_name_do_not_mix(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "another" / "small.py"
    other.parent.mkdir()
    other.write_text(FILE.replace("Small", "Tiny"))
    assert (read_class(file).__name__, read_class(other).__name__) == ("Small", "Tiny")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("from torchvision.models import ResNet", ["defines no nn.Module class", "exactly one"]),
        ("class Plain:\n    pass", ["defines no nn.Module class"]),
        (
            "from torch import nn\nclass Block(nn.Module): ...\nclass Net(nn.Module): ...",
            ["2 nn.Module classes (Block, Net)", "exactly one", "torch.export"],
        ),
        ("import gradcam_nowhere", ["'gradcam_nowhere'", "missing", "stand alone"]),
        ("class Net(", ["cannot be run", "SyntaxError"]),
        ("raise ValueError('as it\\nwants')", ["cannot be run", "ValueError: as it"]),
    ],
)
def test_a_file_without_just_one_class_is_refused(file: Path, text: str, parts: list[str]) -> None:
    file.write_text(text)
    told = refusal(file)
    for part in ["the model file small.py", *parts]:
        assert part in told


def test_a_constructor_that_fails_is_told_with_its_reason(file: Path) -> None:
    told = refusal(file, widht=3)
    assert "Small of the model file small.py cannot be constructed: TypeError" in told
    assert "'widht'" in told


def test_weights_that_do_not_fit_are_named(file: Path) -> None:
    state = read_class(file)().state_dict()
    assert "the weights do not fit Small: fc.weight has shape [3, 4], expected [9, 4]" in refusal(
        file, state, classes=9
    )
    assert "conv.weight is missing" in refusal(file, {})
    assert "head.weight is not one of its tensors" in refusal(
        file, {**state, "head.weight": torch.ones(1)}
    )


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in refusal(tmp_path / "nowhere.py")
