"""Networks out of ``torch.export`` archives: the same modules and maps as their source's."""

import copy
import zipfile
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from exports import (
    PROGRAM,
    SAMPLES,
    SIDE,
    Exportable,
    export,
    exportable,
)
from gradcam import Ask, Explainer
from gradcam.errors import GradcamError
from gradcam.networks import load_exported
from gradcam.networks.pt2_archive import repack
from hand_networks import pictures
from oracles import full_autograd_map, relative_error

LAYERS = ("stem", "stem.1", "block", "relu")


@pytest.fixture(scope="module")
def network() -> Exportable:
    return exportable()


@pytest.fixture(scope="module")
def archive(network: Exportable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(network, tmp_path_factory.mktemp("exports") / "small.pt2")


@pytest.fixture(scope="module")
def loaded(archive: Path) -> nn.Module:
    return load_exported(archive)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_it_computes_what_the_source_does(
    network: Exportable, loaded: nn.Module, count: int
) -> None:
    batch = pictures(count, SIDE)
    with torch.no_grad():
        assert torch.allclose(loaded(batch), network(batch), rtol=1e-5, atol=1e-6)


def test_modules_keep_their_names_and_parameters_are_frozen(
    network: Exportable, loaded: nn.Module
) -> None:
    names = {name for name, _ in loaded.named_modules()}
    assert {name for name, _ in network.named_modules()} <= names
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert not any(module.training for module in loaded.modules())
    assert {name for name, _ in loaded.named_parameters()} == {
        name for name, _ in network.named_parameters()
    }


@pytest.mark.parametrize("layer", LAYERS)
def test_maps_are_those_of_full_autograd_on_the_source(
    network: Exportable, loaded: nn.Module, layer: str
) -> None:
    batch = pictures(2, SIDE)
    explainer = Explainer(loaded, (SIDE, SIDE))
    for index, outcome in enumerate(explainer.run(batch, [Ask((3,), layers=(layer,))] * 2)):
        assert not isinstance(outcome, GradcamError)
        expected = full_autograd_map(network, layer, batch[index], 3)
        assert relative_error(outcome.maps[0].values, expected) <= 1e-5


def test_a_copy_in_another_precision_can_be_made(loaded: nn.Module) -> None:
    batch = pictures(2, SIDE)
    double = copy.deepcopy(loaded).double()
    assert double(batch.double()).dtype == torch.float64
    assert torch.allclose(double(batch.double()).float(), loaded(batch), atol=1e-5)


def test_repacking_drops_the_sample_inputs_and_is_reproducible(
    archive: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(archive) as file:
        assert file.read(f"small/{SAMPLES}")[:2] == b"PK"  # torch.save wrote them
    once = repack(archive).data
    again = tmp_path / "again.pt2"
    again.write_bytes(once)
    with zipfile.ZipFile(again) as file:
        assert file.read(f"model/{SAMPLES}") == b""
        assert b"stack_trace" not in file.read(f"model/{PROGRAM}")
        assert not any(file.read(name)[:2] in (b"PK", b"\x80\x02") for name in file.namelist())
    assert repack(again).data == once
    assert load_exported(again)(pictures(1, SIDE)).shape == (1, 5)


def test_a_network_with_its_own_no_grad_and_a_dict_of_outputs(tmp_path: Path) -> None:
    class Named(Exportable):
        def forward(self, x: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
            with torch.no_grad():
                features = self.stem(x)
            return {"logits": self.fc(self.block(features).mean(dim=(2, 3))), "aux": features}

    torch.manual_seed(0)
    network = Named().eval()
    loaded = load_exported(export(network, tmp_path / "named.pt2"))
    batch = pictures(3, SIDE)
    found, expected = loaded(batch), network(batch)
    assert list(found) == ["logits", "aux"]
    assert torch.allclose(found["logits"], expected["logits"], atol=1e-6)
