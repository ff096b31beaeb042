"""The ports of one TorchServe on this machine, and HTTP to them."""

import contextlib
import json
import socket
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any, Self

HOST = "127.0.0.1"

# a proxy that the environment names has no business with this machine's own ports
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class PortInUseError(Exception):
    """The message names the port, and the option that changes it."""


@dataclass(frozen=True)
class Ports:
    """The five ports, all on 127.0.0.1."""

    inference: int = 8080
    management: int = 8081
    metrics: int = 8082
    grpc_inference: int = 7070
    grpc_management: int = 7071

    @classmethod
    def free(cls) -> Self:
        """Ports that nobody uses at this moment."""
        with contextlib.ExitStack() as stack:
            sockets = [stack.enter_context(socket.socket()) for _ in range(5)]
            for one in sockets:
                one.bind((HOST, 0))
            return cls(*(one.getsockname()[1] for one in sockets))

    def check_free(self, options: Mapping[str, str]) -> None:
        """Makes sure that a server can have these ports.

        Args:
            options: By field, what the person can change, such as ``--port``.

        Raises:
            PortInUseError: One is in use, given twice or no port at all.
        """
        taken: dict[int, str] = {}
        for name, number in vars(self).items():
            problem = _problem(number)
            if number in taken:
                problem = f"it is the {taken[number]} port already"
            taken[number] = name.replace("_", " ")
            if problem:
                raise PortInUseError(
                    f"port {number} cannot be the {taken[number]} port: {problem}; choose another "
                    f"with {options[name]}"
                )


def _problem(number: int) -> str | None:
    if not 1 <= number <= 65535:
        return "ports lie between 1 and 65535"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, number))
        except OSError as error:
            return (error.strerror or str(error)).lower()
    return None


def get_json(url: str) -> Any:
    """GETs a JSON document of this machine.

    Raises:
        OSError: No answer, or a status that is not 2xx.
        ValueError: The answer is not JSON.
    """
    with open_local(urllib.request.Request(url), 5) as answer:
        return json.load(answer)


def open_local(request: urllib.request.Request, timeout: float) -> IO[bytes]:
    """Sends a request to this machine, past any proxy."""
    opened: IO[bytes] = _DIRECT.open(request, timeout=timeout)
    return opened
