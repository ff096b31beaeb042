"""gRPC as a client gets it: stubs generated from the proto that TorchServe's package carries."""

import importlib
import importlib.util
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc_tools
from grpc_tools import protoc

_PROTOS = {
    "proto/inference.proto": "inference.proto",
    "google/rpc/status.proto": "google/rpc/status.proto",
}


def generate_stubs(folder: Path) -> None:
    """Writes ``inference_pb2`` and ``inference_pb2_grpc``, and makes them importable."""
    package = importlib.util.find_spec("ts")
    assert package is not None
    assert package.origin is not None
    jar = Path(package.origin).parent / "frontend" / "model-server.jar"
    with zipfile.ZipFile(jar) as file:
        for entry, name in _PROTOS.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read(entry))
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    done = protoc.main(
        [
            "protoc",
            f"-I{folder}",
            f"-I{well_known}",
            f"--python_out={folder}",
            f"--grpc_python_out={folder}",
            *_PROTOS.values(),
        ]
    )
    assert done == 0
    sys.path.append(str(folder))


@dataclass(frozen=True)
class GrpcClient:
    """Calls ``Predictions`` as the README shows it."""

    target: str

    def predictions(self, model: str, inputs: Mapping[str, bytes], version: str = "") -> bytes:
        messages: Any = importlib.import_module("inference_pb2")
        services: Any = importlib.import_module("inference_pb2_grpc")
        options = [("grpc.enable_http_proxy", 0)]
        with grpc.insecure_channel(self.target, options=options) as channel:
            stub = services.InferenceAPIsServiceStub(channel)
            request = messages.PredictionsRequest(
                model_name=model, model_version=version, input=dict(inputs)
            )
            return bytes(stub.Predictions(request, timeout=120).prediction)
