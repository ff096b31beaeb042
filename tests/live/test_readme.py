"""The README's own examples, run as they stand there, but for the ports."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from live.grpc_stubs import GrpcClient
from pictures import cat, encode, pixels_of
from repository import ROOT
from torchserve_process import TorchServe

pytestmark = pytest.mark.live

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    command
    for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    for command in re.findall(r"^(?:curl|echo) (?:.*[\\|]\n)*.*$", block, re.MULTILINE)
]
(PYTHON,) = [
    block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "grpc" in block
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ``photo.jpg``."""
    assert shutil.which("curl"), "the README's examples need curl"
    made = tmp_path_factory.mktemp("readme")
    # more bytes than one argument of a command can have
    large = cat().resize((1503, 1000), Image.Resampling.BICUBIC)
    (made / "photo.jpg").write_bytes(encode(large, "JPEG", quality=95))
    return made


def _elsewhere(text: str, server: TorchServe) -> str:
    ports = server.ports
    for documented, real in ((8080, ports.inference), (7070, ports.grpc_inference)):
        text = text.replace(f"127.0.0.1:{documented}", f"127.0.0.1:{real}")
    return text


def _run(command: str, folder: Path, server: TorchServe) -> bytes:
    done = subprocess.run(
        ["bash", "-c", f"{_elsewhere(command, server)} --silent --show-error --fail-with-body"],
        cwd=folder,
        capture_output=True,
        check=False,
        timeout=90,
        env={key: value for key, value in os.environ.items() if "proxy" not in key.lower()},
    )
    assert done.returncode == 0, (command, done.stdout[:500], done.stderr)
    return done.stdout


def _documents(answer: Any) -> list[Any]:
    """The explanations of an answer, KServe's or not."""
    wrapped = answer["explanations"] and "predictions" in answer["explanations"][0]
    return list(answer["explanations"]) if wrapped else [answer]


@pytest.mark.parametrize("number", range(len(COMMANDS)))
def test_a_curl_line(number: int, folder: Path, server: TorchServe, demo: str) -> None:
    command = COMMANDS[number]
    assert f"/{demo}" in command
    output = _run(command, folder, server)
    if "-o cam.png" in command:
        assert pixels_of((folder / "cam.png").read_bytes()).shape == (1000, 1503, 3)
    elif "/predictions/" in command:
        assert next(iter(json.loads(output))) == "cat"
    else:
        for document in _documents(json.loads(output)):
            assert document["predictions"][0]["label"] == "cat"
            assert "cat" in {entry["label"] for entry in document["explanations"]}


def test_the_readme_shows_every_way_of_sending() -> None:
    shown = "\n".join([*COMMANDS, PYTHON])
    for way in (
        "-T photo.jpg",
        "-F image=@",
        '{\\"image\\"',
        '{\\"instances\\"',
        "stub.Predictions",
    ):
        assert way in shown


def test_the_grpc_example(
    folder: Path, server: TorchServe, demo: str, grpc_client: GrpcClient
) -> None:
    assert grpc_client.target.endswith(str(server.ports.grpc_inference))  # and stubs are there
    source = _elsewhere(PYTHON, server).replace("photo.jpg", str(folder / "photo.jpg"))
    names: dict[str, Any] = {}
    exec(source, names)
    answer = names["answer"]
    assert answer["model"]["name"] == demo
    assert answer["predictions"][0]["label"] == "cat"
    assert len(answer["explanations"]) == 3
