"""KServe's own REST client against TorchServe's v1 paths."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from live.client import Client
from live.comparing import differences
from live.environments import is_installed, python_with
from pictures import cat, encode
from sending import b64

pytestmark = pytest.mark.live

PICTURES = [encode(cat()), encode(cat().rotate(90))]
INSTANCES = [{"image": {"b64": b64(picture)}} for picture in PICTURES]
CLIENT = Path(__file__).with_name("ask_with_kserve.py")


@pytest.fixture(scope="module")
def python(pytestconfig: pytest.Config) -> Path:
    """The interpreter that has the kserve package."""
    if not is_installed("kserve"):
        reporter: Any = pytestconfig.pluginmanager.getplugin("terminalreporter")
        capture: Any = pytestconfig.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():
            reporter.write_line("\ninstalling KServe's client in .venv-kserve, once (1-2 min) ...")
    return python_with("kserve")


@pytest.fixture(scope="module", params=["zoo", "demo"])
def model(request: pytest.FixtureRequest) -> str:
    if request.param == "demo":
        request.getfixturevalue("demo")
    return str(request.param)


@pytest.fixture(scope="module")
def told(python: Path, client: Client, model: str) -> Any:
    """What KServe's client makes of the answers."""
    question = {
        "base": client.base,
        "model": model,
        "predict": {"instances": INSTANCES},
        "explain": {"instances": INSTANCES, "parameters": {"target": "top2", "top_k": 3}},
        "wrong": {"instances": INSTANCES, "parameters": {"tagret": "top2"}},
    }
    done = subprocess.run(
        [str(python), str(CLIENT)],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
        env={key: value for key, value in os.environ.items() if "proxy" not in key.lower()},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_infer(told: Any, client: Client, model: str) -> None:
    alone = [client.put(f"predictions/{model}", picture).document() for picture in PICTURES]
    assert differences(told["predict"], {"predictions": alone}, 1e-4) == []
    assert differences(alone[0], alone[1], 1e-4) != []


def test_explain(told: Any, client: Client, model: str) -> None:
    headers = {"X-Explain-Target": "top2", "X-Explain-Top-K": "3"}
    alone = [
        client.put(f"explanations/{model}", picture, headers).document() for picture in PICTURES
    ]
    assert differences(told["explain"], {"explanations": alone}, 1e-4) == []
    assert [len(one["explanations"]) for one in alone] == [2, 2]


def test_a_wrong_option_reaches_the_person(told: Any) -> None:
    assert told["wrong"].startswith("HTTPStatusError")
    assert "did you mean 'target'?" in told["wrong"]
    assert "422" in told["wrong"]
