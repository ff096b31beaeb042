"""The door: how TorchServe loads the handler, and what a wrong archive says."""

import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import yaml
from ts.model_loader import ModelLoaderFactory

import gradcam_handler
import sending
from archive_dir import MODEL, NUM_CLASSES, Served, make_context, settings, write_archive
from gradcam.errors import SettingsError
from gradcam.networks import build_network
from pictures import cat_png

HANDLERS = Path(gradcam_handler.__file__).parent


def errors_of(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno >= logging.ERROR]


def failure(
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    config: Mapping[str, Any] | None = None,
    model: Mapping[str, str] = MODEL,
) -> str:
    """The one line in the log with which the handler refuses to load."""
    context = make_context(folder, settings() if config is None else config, model)
    with caplog.at_level(logging.INFO), pytest.raises(RuntimeError) as caught:
        gradcam_handler.GradCAMHandler().initialize(context)
    (record,) = errors_of(caplog)
    assert record.name == "gradcam_handler"
    line = record.getMessage()
    assert "\n" not in line
    assert line.startswith("gradcam: zoo cannot be loaded: ")
    assert str(caught.value) in line
    return line


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"num_classes": "ten"}, ["num_classes", "'ten'", "a whole number"]),
        ({"num_classes": 11}, ["fc.weight", "expected [11, 160]", "is num_classes right?"]),
        ({"architecture": "demonet"}, ["'demonet' does not exist", "demo_net"]),
        ({"architecture": "squeezenet1_1"}, ["the weights do not fit squeezenet1_1"]),
        ({"architecture_options": {"width": 3}}, ["architecture demo_net", "width"]),
        (
            {"architecture": "alexnet", "architecture_options": {"dropout": 2}},
            ["alexnet", "dropout"],
        ),
        ({"layer": "layer4"}, ["layer 'layer4' does not exist", "layer3"]),
        ({"layer": "pool"}, ["layer 'pool' has a 1×1 output", "layer3"]),
        ({"method": "guidedcam"}, ["method", "'guidedcam'", "one of gradcam"]),
        ({"metod": "gradcam"}, ["'metod'", "'method'"]),
        ({"limits": {"max_bytes": 0}}, ["limits: max_bytes: 0", "a whole number from 1"]),
        ({"preprocessing": {"crop_size": 0}}, ["preprocessing: crop_size", "a whole number"]),
    ],
)
def test_a_wrong_setting_stops_the_load_with_one_clear_line(
    folder: Path, caplog: pytest.LogCaptureFixture, changes: dict[str, object], parts: list[str]
) -> None:
    line = failure(folder, caplog, settings(**changes))
    for part in parts:
        assert part in line


def test_an_archive_without_settings_says_which_are_needed(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert "architecture, num_classes" in failure(folder, caplog, {"minWorkers": 1})


def drop(folder: Path) -> None:
    (folder / "weights.safetensors").unlink()


def garble(folder: Path) -> None:
    (folder / "weights.safetensors").write_bytes(b"no weights at all")


def shorten(folder: Path) -> None:
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def rename_a_tensor(folder: Path) -> None:
    path = folder / "weights.safetensors"
    state = safetensors.torch.load(path.read_bytes())
    state["fc.weights"] = state.pop("fc.weight")
    safetensors.torch.save_file(state, path)


def pickle_weights(folder: Path) -> None:
    path = folder / "weights.safetensors"
    torch.save(safetensors.torch.load(path.read_bytes()), path)


def break_names(folder: Path) -> None:
    (folder / "index_to_name.json").write_text('{"0": "cat"', encoding="utf-8")


def name_too_many(folder: Path) -> None:
    (folder / "index_to_name.json").write_text('{"12": "cat"}', encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "part"),
    [
        (drop, "weights.safetensors"),
        (garble, "weights.safetensors"),
        (shorten, "weights.safetensors"),
        (pickle_weights, "weights.safetensors"),
        (rename_a_tensor, "fc.weight is missing"),
        (break_names, "index_to_name.json is not JSON"),
        (name_too_many, "'12' is not a class index from 0 to 11"),
    ],
)
def test_a_damaged_archive_stops_the_load_with_one_clear_line(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], None],
    part: str,
) -> None:
    damage(write_archive(tmp_path))
    assert part in failure(tmp_path, caplog)


def test_an_archive_without_weights_says_so(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    line = failure(folder, caplog, model={"modelVersion": "1.0"})
    assert "serializedFile" in line


def test_a_crop_too_small_for_the_network_stops_the_load_with_one_clear_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with torch.random.fork_rng():
        network = build_network("squeezenet1_1", 10)
    safetensors.torch.save_file(network.state_dict(), tmp_path / "weights.safetensors")
    changes: dict[str, Any] = {"architecture": "squeezenet1_1", "num_classes": 10}
    line = failure(tmp_path, caplog, settings(**changes, preprocessing={"crop_size": 8}))
    assert "the network fails on pictures of 8×8, as preprocessing: crop_size has them" in line


def test_a_sound_archive_is_loaded_with_one_line_that_says_what(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        gradcam_handler.GradCAMHandler().initialize(make_context(folder, settings()))
    assert not errors_of(caplog)
    (line,) = [record.getMessage() for record in caplog.records if record.name == "gradcam_handler"]
    for part in ("zoo loaded on cpu", "demo_net with 12 classes", "target layer layer3"):
        assert part in line


def test_settings_errors_are_all_that_initialize_raises_for_wrong_settings(folder: Path) -> None:
    context = make_context(folder, settings(layer="nope"))
    with pytest.raises(SettingsError):
        gradcam_handler.GradCAMHandler().initialize(context)


def unpack_archive(folder: Path) -> Path:
    """A model's folder with everything in it, as TorchServe unpacks an archive."""
    write_archive(folder)
    shutil.copy(HANDLERS / "gradcam_handler.py", folder)
    (folder / "model-config.yaml").write_text(yaml.safe_dump(settings()), encoding="utf-8")
    (folder / "MAR-INF").mkdir()
    model = {**MODEL, "modelName": "zoo", "handler": "gradcam_handler.py"}
    manifest = {"model": {**model, "configFile": "model-config.yaml"}, "archiverVersion": "0.12.0"}
    (folder / "MAR-INF" / "MANIFEST.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def test_torchserve_s_own_model_loader_finds_the_handler_and_the_settings(tmp_path: Path) -> None:
    loader = ModelLoaderFactory.get_model_loader()
    service = loader.load(
        "zoo",
        str(unpack_archive(tmp_path)),
        handler="gradcam_handler.py",
        gpu_id=None,
        batch_size=4,
    )
    entry = service._entry_point.__self__
    assert type(entry).__name__ == "GradCAMHandler"
    requests = [sending.raw(cat_png()), sending.raw(b"hello"), sending.raw(cat_png(), False)]
    answers = sending.exchange(service._entry_point, service.context, requests)
    assert [answer.status for answer in answers] == [200, 415, 200]
    assert len(answers[0].document()["explanations"]) == 1
    assert service.context.model_yaml_config["handler"]["gradcam"]["num_classes"] == NUM_CLASSES


def test_freed_memory_is_given_back_now_and_then(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_back: list[None] = []
    monkeypatch.setattr("gradcam_handler.heap.give_back", lambda: given_back.append(None))
    times = []
    for _ in range(2 * gradcam_handler.GIVE_BACK_AFTER):
        served.ask(sending.raw(b""))
        times.append(len(given_back))
    assert times[-1] == 2
    assert times.index(2) - times.index(1) == gradcam_handler.GIVE_BACK_AFTER


def test_statuses_come_with_their_phrases(served: Served) -> None:
    answers = served.batch(sending.raw(cat_png()), sending.raw(b"hello"), sending.raw(b""))
    phrases = [(answer.status, answer.phrase) for answer in answers]
    assert phrases == [(200, "OK"), (415, "Unsupported Media Type"), (400, "Bad Request")]


@pytest.mark.parametrize(
    ("module", "package"), [("safetensors", "safetensors"), ("cv2", "opencv-python-headless")]
)
def test_a_missing_module_is_named_with_the_command_that_installs_it(
    module: str, package: str
) -> None:
    script = f"import sys; sys.modules[{module!r}] = None; import gradcam_handler"
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=HANDLERS,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 1
    last = run.stderr.strip().splitlines()[-1]
    assert f"the module {module} is missing" in last
    assert f"-m pip install {package}" in last
    assert sys.executable in last
