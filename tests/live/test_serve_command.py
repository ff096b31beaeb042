"""``scripts/serve.py`` from the start to Ctrl-C, with the demo model."""

import json
import re
import socket
from pathlib import Path

import numpy as np
import pytest
import skimage.data

from first_requests import photograph
from live.serve_run import Run, free_ports, mass_inside, port_options, refused, run_demo
from local_ports import HOST
from packaging_options import DEMO_FOLDER
from pictures import cat, encode, pixels_of

pytestmark = pytest.mark.live

BOX = (100.0, 60.0, 270.0, 200.0)
"""Around the face, from brow to chin: left, top, width, height. The README states it."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run of the command with the demo model."""
    assert (DEMO_FOLDER / "weights.safetensors").is_file(), "the demo model is not trained"
    folder = tmp_path_factory.mktemp("serve")
    return run_demo(folder, photograph().read_bytes(), encode(cat(), "JPEG", quality=95))


def test_the_photograph_is_the_cat() -> None:
    assert np.array_equal(pixels_of(photograph().read_bytes()), skimage.data.chelsea())


def test_the_tables_first_line_is_the_cat(run: Run) -> None:
    rows = re.findall(r"^ +(\d) +(\S+) +(\d\.\d{4})$", run.output, re.MULTILINE)
    assert [int(rank) for rank, _, _ in rows] == [1, 2, 3, 4, 5]
    assert rows[0][1] == "cat"
    probabilities = [float(probability) for _, _, probability in rows]
    assert probabilities == sorted(probabilities, reverse=True)


def test_the_overlay_is_saved_at_the_photographs_size(run: Run) -> None:
    (path,) = re.findall(r"explained in (\S+\.png)", run.output)
    overlay = pixels_of(Path(path).read_bytes())
    assert overlay.shape == (300, 451, 3)
    assert (overlay != skimage.data.chelsea()).any(axis=2).mean() > 0.5


def test_over_half_of_the_maps_mass_lies_around_the_cat(run: Run) -> None:
    (entry,) = run.explanation["explanations"]
    assert entry["label"] == "cat"
    share = mass_inside(entry["heatmap"], BOX)
    assert share > 0.5
    even = {**entry["heatmap"], "values": np.ones_like(entry["heatmap"]["values"]).tolist()}
    assert share > mass_inside(even, BOX)  # and more of it than of a map of nothing in particular


def test_the_printed_curl_lines_work(run: Run) -> None:
    assert [curl.code for curl in run.curls] == [0, 0, 0]
    predictions, picture, explanations = run.curls
    assert next(iter(json.loads(predictions.output))) == "cat"
    assert picture.output == b""
    assert pixels_of(run.saved).shape == (300, 451, 3)
    entries = json.loads(explanations.output)["explanations"]
    assert [entry["overlay"]["content_type"] for entry in entries] == ["image/jpeg"] * 3


def test_ctrl_c_ends_it_and_leaves_nothing(run: Run) -> None:
    assert run.alive >= 3  # itself, Java, a worker: so that the search is known to find them
    assert run.code == 0, run.output
    assert run.left == ()
    assert run.seconds < 30
    assert "stopping" in run.output
    assert "Traceback" not in run.output


@pytest.mark.parametrize(
    ("field", "option"),
    [
        ("inference", "--port"),
        ("management", "--management-port"),
        ("metrics", "--metrics-port"),
        ("grpc_inference", "--grpc-port"),
        ("grpc_management", "--grpc-port"),
    ],
)
def test_a_port_in_use_is_refused_with_the_option_that_changes_it(field: str, option: str) -> None:
    ports = free_ports()
    number = getattr(ports, field)
    with socket.socket() as taken:
        taken.bind((HOST, number))
        taken.listen()
        code, printed = refused(*port_options(ports))
    assert code == 1
    (line,) = printed.splitlines()
    assert line.startswith(f"error: port {number} cannot be the {field.replace('_', ' ')} port")
    assert option in line


def test_an_archive_that_is_missing_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "other.mar").touch()
    code, printed = refused("nothere", f"--export-path={tmp_path}", *port_options(free_ports()))
    assert code == 1
    (line,) = printed.splitlines()
    assert str(tmp_path / "nothere.mar") in line
    assert "other" in line
    assert "package_model.py" in line


def test_weights_that_are_missing_are_refused_before_anything_starts(tmp_path: Path) -> None:
    ports = port_options(free_ports())
    arguments = ["--arch=shufflenet_v2_x0_5", f"--weights={tmp_path / 'a.pth'}"]
    code, printed = refused(*arguments, f"--export-path={tmp_path}", *ports)
    assert code == 2
    assert f"error: the weights file {tmp_path / 'a.pth'} does not exist" in printed
    assert "starting TorchServe" not in printed
    assert "Traceback" not in printed
