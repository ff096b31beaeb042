"""TorchServe's ``config.properties``, as far as the container must know and change it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from container.errors import SettingsError

_ADDRESSES = {
    "inference_address": "http://127.0.0.1:8080",
    "management_address": "http://127.0.0.1:8081",
    "metrics_address": "http://127.0.0.1:8082",
}
_GRPC_ADDRESSES = ("grpc_inference_address", "grpc_management_address")
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
_MAX_REQUEST_SIZE = "6553500"  # TorchServe's own default


@dataclass(frozen=True)
class ServerConfig:
    """A checked ``config.properties``.

    Attributes:
        values: As the file has them.
        folder: Of the file; relative paths in it are meant from there.
        inference: ``host:port``, as the next two.
        management: The management API.
        metrics: The metrics API.
        max_request_size: Bytes of a request's body from which TorchServe answers an empty 413.
    """

    values: Mapping[str, str]
    folder: Path
    inference: str
    management: str
    metrics: str
    max_request_size: int

    def text(self, changes: Mapping[str, str]) -> str:
        """The configuration that TorchServe is started with.

        Args:
            changes: Values that replace those of the file, or are added.
        """
        told = {**self.values, **self._metrics_config(), **changes}
        return "".join(f"{key}={value}\n" for key, value in told.items())

    def _metrics_config(self) -> dict[str, str]:
        """The metrics' declarations; TorchServe runs in another folder than the file's."""
        told = self.values.get("metrics_config", "metrics.yaml")
        path = self.folder / told
        return {"metrics_config": str(path)} if path.is_file() else {}


def read_server_config(path: Path) -> ServerConfig:
    """Reads the file.

    Raises:
        SettingsError: It is not there, or TorchServe would listen beyond this machine.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"TorchServe's configuration {path} cannot be read ({error.strerror}); GRADCAM_CONFIG "
            "names it"
        ) from error
    values = parse_properties(text)
    if values.get("enable_envvars_config", "false").lower() == "true":
        raise SettingsError(
            f"{path} says enable_envvars_config=true, with which a TS_* variable could open what "
            "this file closes; remove it"
        )
    for name in _GRPC_ADDRESSES:
        _check_loopback(path, name, values.get(name, "127.0.0.1"))
    inference, management, metrics = (
        _address(path, name, values.get(name, default)) for name, default in _ADDRESSES.items()
    )
    size = values.get("max_request_size", _MAX_REQUEST_SIZE)
    if not size.isdecimal():
        raise SettingsError(f"{path}: max_request_size={size} is not a number of bytes")
    return ServerConfig(values, path.resolve().parent, inference, management, metrics, int(size))


def parse_properties(text: str) -> dict[str, str]:
    """``key=value`` lines; comments and empty lines are skipped, a later line wins."""
    pairs = (
        line.partition("=")
        for line in map(str.strip, text.splitlines())
        if line and line[0] not in "#!"
    )
    return {key.strip(): value.strip() for key, _, value in pairs}


def _address(path: Path, name: str, url: str) -> str:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme != "http" or port is None:
        raise SettingsError(f"{path}: {name}={url} is not of the form http://127.0.0.1:PORT")
    _check_loopback(path, name, parts.hostname or "")
    return f"127.0.0.1:{port}"


def _check_loopback(path: Path, name: str, host: str) -> None:
    if host not in _LOOPBACK:
        # tokens are off there, and the management API scales models to nothing for anybody
        raise SettingsError(
            f"{path}: {name} listens on {host}, beyond this machine; the door is the only way in, "
            "so it must be on 127.0.0.1"
        )
