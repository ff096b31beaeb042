"""The container's settings, from environment variables, each checked where it is read.

``python -m container.settings`` prints what the present environment means.
"""

import difflib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, get_args

from container.errors import SettingsError
from container.server_config import ServerConfig, read_server_config

Canary = Literal["explain", "predict"]

MODEL_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
"""Names of models and versions as the door lets them through, which is without any escaping."""

_HOME = Path(__file__).resolve().parents[1]
_UPSTREAM = re.compile(r"[A-Za-z0-9.-]+:\d{1,5}")
_SIZE = re.compile(r"(\d+)([kmg]?)", re.IGNORECASE)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_NAMES = (
    *("MODELS", "MODEL_STORE", "CONFIG", "RUN_DIR", "LISTEN", "DOOR_PORT", "METRICS_PORT"),
    *("AGENT_PORT", "KEYS", "KEYS_FILE", "DRAIN_SECONDS", "DRAIN_LIMIT", "CANARY", "MAX_BODY"),
    *("RATE", "UPSTREAMS", "NGINX"),
)


@dataclass(frozen=True)
class Settings:
    """All that the container is told.

    Attributes:
        models: By the name to serve under, an archive's file name in the store.
        model_store: The folder of the archives.
        server: TorchServe's configuration.
        run_dir: A writable folder: working directory, logs, sockets, state.
        listen: The address that door and metrics listen on; empty for all interfaces.
        door_port: Of the only way in.
        metrics_port: Of ``/metrics`` and nothing else.
        agent_port: Of the agent, on loopback.
        keys_file: Whose keys open the door; ``None`` when keys are off.
        drain_seconds: How long requests are still taken after SIGTERM.
        drain_limit: The most seconds that what is under way then gets.
        canary: What is asked of a model before it counts as ready.
        max_body: Bytes of a request's body.
        rate: Requests per second and key; 0 for any number.
        upstreams: ``host:port`` of the TorchServes behind the door.
        nginx: The program.
    """

    models: Mapping[str, str]
    model_store: Path
    server: ServerConfig
    run_dir: Path
    listen: str
    door_port: int
    metrics_port: int
    agent_port: int
    keys_file: Path | None
    drain_seconds: float
    drain_limit: float
    canary: Canary
    max_body: int
    rate: int
    upstreams: tuple[str, ...]
    nginx: str


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Reads the ``GRADCAM_*`` variables.

    Raises:
        SettingsError: One cannot be used; the message names it.
    """
    told = {
        name: environment[f"GRADCAM_{name}"].strip()
        for name in _NAMES
        if environment.get(f"GRADCAM_{name}", "").strip()
    }
    server = read_server_config(Path(told.get("CONFIG", _HOME / "config.properties")))
    store = Path(told.get("MODEL_STORE", "/model-store"))
    settings = Settings(
        models=_models(told.get("MODELS"), store),
        model_store=store,
        server=server,
        run_dir=Path(told.get("RUN_DIR", "/run/gradcam")).absolute(),
        listen=told.get("LISTEN", ""),
        door_port=_port(told, "DOOR_PORT", 8000),
        metrics_port=_port(told, "METRICS_PORT", 8002),
        agent_port=agent_port(environment),
        keys_file=_keys_file(told),
        drain_seconds=_seconds(told, "DRAIN_SECONDS", 10),
        drain_limit=_seconds(told, "DRAIN_LIMIT", 150),
        canary=_canary(told.get("CANARY", "explain")),
        max_body=_size(told.get("MAX_BODY", "16m")),
        rate=_rate(told.get("RATE", "0")),
        upstreams=_upstreams(told.get("UPSTREAMS", server.inference)),
        nginx=told.get("NGINX", "nginx"),
    )
    _check_ports(settings)
    if settings.max_body >= server.max_request_size:
        raise SettingsError(
            f"GRADCAM_MAX_BODY is {settings.max_body} bytes and must be below TorchServe's "
            f"max_request_size ({server.max_request_size}), whose own refusal says nothing"
        )
    return settings


def agent_port(environment: Mapping[str, str]) -> int:
    """The agent's port, which is all that the health command needs to know.

    Raises:
        SettingsError: It is no port.
    """
    name = "AGENT_PORT"
    return _port({name: environment.get(f"GRADCAM_{name}", "").strip()}, name, 8003)


def misspelt(environment: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each variable that is nearly one of ours.

    Others are let be: Kubernetes sets ``GRADCAM_SERVICE_HOST`` and more for a Service of this name.
    """
    known = [f"GRADCAM_{name}" for name in _NAMES]
    for name in environment:
        if name.startswith("GRADCAM_") and name not in known:
            for close in difflib.get_close_matches(name, known, n=1, cutoff=0.9):
                yield f"{name} is not a setting and is ignored; did you mean {close}?"


def _models(told: str | None, store: Path) -> dict[str, str]:
    if told is None:
        models = {path.stem: path.name for path in sorted(store.glob("*.mar"))}
        if not models:
            raise SettingsError(
                f"there is no archive (*.mar) in {store}; mount a folder with some there, or set "
                "GRADCAM_MODEL_STORE"
            )
    else:
        parts = [part.strip().partition("=") for part in told.split(",") if part.strip()]
        models = {name.strip(): file.strip() for name, _, file in parts}
        if not models or not all(models.values()) or len(models) < len(parts):
            raise SettingsError(
                f"GRADCAM_MODELS={told} is not of the form demo=demo.mar,other=other.mar"
            )
    for name, file in models.items():
        if not re.fullmatch(MODEL_NAME, name):
            raise SettingsError(
                f"a model cannot be called {name!r}: letters, digits, dots, dashes and "
                "underscores only, the first a letter, a digit or an underscore"
            )
        if Path(file).name != file or not (store / file).is_file():
            raise SettingsError(f"GRADCAM_MODELS: there is no file {file} in {store}")
    return models


def _port(told: Mapping[str, str], name: str, default: int) -> int:
    text = told.get(name, "")
    # Kubernetes sets GRADCAM_DOOR_PORT=tcp://10.0.0.7:80 where a Service is called gradcam-door
    if not text or text.startswith("tcp://"):
        return default
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise SettingsError(f"GRADCAM_{name}={text} is not a port, 1 to 65535")
    return int(text)


def _check_ports(settings: Settings) -> None:
    taken: dict[int, str] = {}
    for name in ("door_port", "metrics_port", "agent_port"):
        port = getattr(settings, name)
        if port in taken:
            raise SettingsError(
                f"GRADCAM_{name.upper()} and GRADCAM_{taken[port].upper()} are both {port}"
            )
        taken[port] = name


def _keys_file(told: Mapping[str, str]) -> Path | None:
    keys = told.get("KEYS", "")
    if keys == "off":
        return None
    if keys:
        # the value may be a key that was put into the wrong variable: it is not repeated
        raise SettingsError("GRADCAM_KEYS can only be off; keys go into GRADCAM_KEYS_FILE's file")
    named = told.get("KEYS_FILE")
    if named is not None and not Path(named).is_file():
        # to make a key here would be to open the door with one that nobody knows of
        raise SettingsError(
            f"GRADCAM_KEYS_FILE={named}: there is no such file; is the Secret mounted, and has it "
            "an item of that name?"
        )
    return Path(named or "/etc/gradcam/keys/keys")


def _seconds(told: Mapping[str, str], name: str, default: float) -> float:
    text = told.get(name, str(default))
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise SettingsError(f"GRADCAM_{name}={text} is not a number of seconds, 0 or more")
    return float(text)


def _canary(text: str) -> Canary:
    for known in get_args(Canary):
        if text == known:
            return known  # type: ignore[no-any-return]
    raise SettingsError(f"GRADCAM_CANARY={text} is neither explain nor predict")


def _size(text: str) -> int:
    match = _SIZE.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise SettingsError(f"GRADCAM_MAX_BODY={text} is not a size such as 16m or 500k")
    return int(match[1]) * _UNITS[match[2].lower()]


def _rate(text: str) -> int:
    if not text.isdecimal():
        raise SettingsError(f"GRADCAM_RATE={text} is not a whole number of requests per second")
    return int(text)


def _upstreams(text: str) -> tuple[str, ...]:
    upstreams = tuple(part.strip() for part in text.split(",") if part.strip())
    if not upstreams or not all(map(_UPSTREAM.fullmatch, upstreams)):
        raise SettingsError(f"GRADCAM_UPSTREAMS={text} is not of the form host:port,host:port")
    return upstreams


def _main() -> int:
    try:
        settings = read_settings(os.environ)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for field in fields(settings):
        if field.name != "server":
            print(f"{field.name}: {getattr(settings, field.name)}")
    return 0


if __name__ == "__main__":
    sys.exit(_main())
