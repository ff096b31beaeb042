"""The sweep over architectures, on small ones."""

import json
from pathlib import Path

import cv2
import pytest
import torch

import sweep
from hand_networks import MeanLinear, frozen, pictures
from hand_transformers import ChannelsLast, Transformer, mean_of
from oracles import channels_last, relative_error, token_grid
from oracles import full_autograd_map as other_map
from sweep_networks import TIMM, Subject, build, find_subject, torchvision_subjects
from sweep_oracle import full_autograd_map
from sweep_report import methods_that_apply


def test_the_oracle_on_a_network_whose_map_is_arithmetic() -> None:
    network = MeanLinear([[1, 2, -3], [0, 1, 0]])
    picture = pictures(1, 4)

    found = full_autograd_map(network, "features", picture, 0, None, last=False)

    red, green, blue = picture[0]
    assert found.allclose((red + 2 * green - 3 * blue) / 16)


def test_the_oracle_in_other_layouts_is_that_of_the_tests() -> None:
    (picture,) = pictures(1, 12)
    tokens, last = frozen(Transformer(2, mean_of(2))).double(), frozen(ChannelsLast()).double()
    batch = picture[None].double()

    grid = full_autograd_map(tokens, "norm", batch, 3, 2, last=True).view(4, 4)
    assert relative_error(grid, other_map(tokens, "norm", picture, 3, token_grid(2, 4, 4))) < 1e-12
    found = full_autograd_map(last, "norm", batch, 3, None, last=True)
    assert relative_error(found, other_map(last, "norm", picture, 3, channels_last)) < 1e-12


def test_all_of_torchvision_and_ten_of_timm() -> None:
    assert len(torchvision_subjects()) == 80
    assert len(TIMM) == 10
    assert find_subject("timm/swinv2_tiny_window8_256") == Subject(
        "timm/swinv2_tiny_window8_256", 256
    )
    assert find_subject("swin_v2_t").side == 256
    assert find_subject("inception_v3").side == 299


@pytest.mark.parametrize("statistics", ["drawn", "noise"])
def test_a_network_is_the_same_each_time_and_nothing_in_it_is_trivial(statistics: str) -> None:
    one, other = (build(Subject("mnasnet0_5", 64), statistics).state_dict() for _ in range(2))

    for name, tensor in one.items():
        assert tensor.equal(other[name])
        if name.endswith(("running_mean", "running_var")):
            assert tensor.unique().numel() > 1
    assert build(Subject("vit_b_32", 224)).get_parameter("heads.head.weight").any()


def test_a_sweep_goes_on_after_a_failure_and_from_where_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sweep.json"
    subjects = [Subject("alexnet", 32), Subject("mnasnet0_5", 96)]

    first = sweep.sweep(subjects, path, "drawn")
    again = sweep.sweep(subjects, path, "drawn")

    failed, done = json.loads(path.read_text())["rows"]
    assert "kernel size" in failed["failure"].lower() or "too small" in failed["failure"]
    assert (done["layer"], done["height"], done["width"]) == ("layers", 3, 3)
    assert 0 < done["error"] <= 1e-4
    assert first == again == [failed, done]
    told = capsys.readouterr().out
    assert told.count("mnasnet0_5: layers 3×3") == 1
    assert told.count("mnasnet0_5: already there") == 1


def test_the_table_and_the_plot(tmp_path: Path) -> None:
    row = {
        "name": "some_vit", "side": 224, "layer": "blocks.1.norm1", "channels": 8, "height": 14,
        "width": 14, "kind": "tokens", "skipped": 2, "bypassed": True, "linear_head": False,
        "differentiable": True, "error": 1.5e-6, "autograd_float32": 2e-6,
    }  # fmt: skip
    none = {"name": "odd", "side": 32, "reason": "there is no map"}
    path = tmp_path / "sweep.json"
    path.write_text(json.dumps({"rows": [row, none]}))
    document, plot = tmp_path / "table.md", tmp_path / "plot.png"

    arguments = ["--json", str(path), "--plot", str(plot), "--document", str(document)]
    assert sweep.main(arguments) == 0

    lines = document.read_text().splitlines()
    methods = methods_that_apply(row)
    assert (
        f"| some_vit | 224×224 | `blocks.1.norm1` | 14×14 | 8 | 2 | yes | {methods} | 1.5e-06 "
        "| 2.0e-06 |"
    ) in lines
    assert any(line.startswith("| odd | 32×32 | none: there is no map |") for line in lines)
    picture = cv2.imread(str(plot))
    assert picture is not None
    assert len({tuple(pixel) for pixel in picture.reshape(-1, 3).tolist()}) > 3


def test_a_difference_beyond_the_limit_fails_the_command(tmp_path: Path) -> None:
    path = tmp_path / "sweep.json"
    path.write_text(json.dumps({"rows": [{"name": "a", "side": 8, "error": 2e-4}]}))

    assert sweep.main(["--json", str(path)]) == 1


def test_nothing_to_do_is_an_error() -> None:
    with pytest.raises(SystemExit):
        sweep.main([])


def test_gradients_are_as_they_were_after_the_oracle() -> None:
    network = frozen(Transformer())
    full_autograd_map(network, "norm", torch.zeros(1, 3, 12, 12), 0, 1, last=True)

    assert not any(parameter.requires_grad for parameter in network.parameters())
