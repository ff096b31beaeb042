"""Archives that are set up wrongly: one clear line in the log for each, and nothing is served."""

import re
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml

from live.archives import package_zoo
from torchserve_process import TorchServe, TorchServeError

pytestmark = pytest.mark.live

Config = dict[str, object]


def _limit(section: Config) -> None:
    section["limits"] = {"max_pixel": 3}


def _layer(section: Config) -> None:
    section["layer"] = "stage9"


def _classes(section: Config) -> None:
    section["num_classes"] = 5


WRONG: Mapping[str, tuple[Callable[[Config], None], str]] = {
    "limit": (
        _limit,
        "model-config.yaml: handler: gradcam: limits: 'max_pixel' is not an option; "
        "did you mean 'max_pixels'?",
    ),
    "layer": (_layer, "stage9"),
    "classes": (_classes, "fc.weight has shape [4, 1024], expected [5, 1024]"),
}


def _spoil(archive: Path, to: Path, change: Callable[[Config], None]) -> None:
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(to, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "model-config.yaml":
                config = yaml.safe_load(data)
                change(config["handler"]["gradcam"])
                data = yaml.safe_dump(config).encode()
            target.writestr(name, data)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """What ``wait_ready`` raised, and the log once every archive was tried."""
    store = tmp_path_factory.mktemp("bad_store")
    package_zoo(store, tmp_path_factory.mktemp("bad_zoo"))
    for name, (change, _) in WRONG.items():
        _spoil(store / "zoo.mar", store / f"{name}.mar", change)
    models = {name: f"{name}.mar" for name in WRONG}
    with TorchServe(store, models, log_dir=tmp_path_factory.mktemp("bad_logs")) as server:
        with pytest.raises(TorchServeError) as raised:
            server.wait_ready(timeout=180)
        deadline = time.monotonic() + 120
        while not all(f"gradcam: {name} cannot be loaded" in server.log_text() for name in WRONG):
            assert time.monotonic() < deadline, server.log_text()[-3000:]
            time.sleep(0.2)
        log = server.log_text()
    return str(raised.value), log


@pytest.mark.parametrize("name", WRONG)
def test_the_log_says_in_one_line_what_is_wrong(outcome: tuple[str, str], name: str) -> None:
    lines = re.findall(rf"gradcam: {name} cannot be loaded: (.*)", outcome[1])
    assert lines
    assert len(set(lines)) == 1  # TorchServe tries again, and it says the same again
    assert WRONG[name][1] in lines[0]


def test_whoever_waits_is_told_the_same(outcome: tuple[str, str]) -> None:
    told = outcome[0]
    assert re.search(r"^(limit|layer|classes) cannot be loaded: ", told)
    assert any(part in told for _, part in WRONG.values())
    assert "console.log" in told
