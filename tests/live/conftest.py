"""One TorchServe for all live tests, with several models; at the end its log must be clean."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from live.archives import package_demo, package_random, package_zoo
from live.client import Client
from live.exact import Exact, read_exact
from live.grpc_stubs import GrpcClient, generate_stubs
from local_ports import HOST, get_json
from torchserve_process import TorchServe

_TROUBLE = re.compile(
    r"Traceback|Backend worker process died|Worker died|Worker disconnected|Load model failed|"
    r"Number or consecutive unsuccessful inference|OutOfMemory"
)
_SPEAKER = re.compile(r" (W-\S+)-stdout MODEL_LOG - ")
# TorchServe's own code traces a body that claims to be JSON and is not, then hands it on as it is
_JAVA = "using non-default JVM parameters"  # those of config.properties
_HARMLESS = "Failed json decoding of input data. Forwarding encoded payload"


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A model store with every archive that the session serves."""
    folder = tmp_path_factory.mktemp("model_store")
    package_zoo(folder, tmp_path_factory.mktemp("zoo"))
    package_random(folder, "vgg19")
    package_random(folder, "densenet201")
    package_demo(folder)
    yield folder
    for archive in folder.glob("*.mar"):  # pytest would keep hundreds of megabytes for days
        archive.unlink()


@pytest.fixture(scope="session")
def server(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TorchServe]:
    """The server, ready; afterwards no worker may have died, restarted or raised."""
    models = {archive.stem: archive.name for archive in sorted(store.glob("*.mar"))}
    with TorchServe(store, models, log_dir=tmp_path_factory.mktemp("logs")) as running:
        running.wait_ready(timeout=300)
        before = {name: worker_pid(running, name) for name in models}
        yield running
        after = {name: worker_pid(running, name) for name in models}
        log = running.log_text()
    assert after == before
    assert _trouble(log) == []


def _trouble(log: str) -> list[str]:
    """The lines of a log that tell of a fault or of a worker's end."""
    said: dict[str, str] = {}  # what each worker said last: others' lines may come in between
    found = []
    for line in log.splitlines():
        speaker = _SPEAKER.search(line)
        before = said.get(speaker[1], "") if speaker else ""
        if _TROUBLE.search(line) and _HARMLESS not in before and _JAVA not in line:
            found.append(line)
        if speaker:
            said[speaker[1]] = line
    return found


def worker_pid(server: TorchServe, name: str) -> int:
    """The process of a model's only worker."""
    (model,) = get_json(f"{server.management_url}/models/{name}")
    (worker,) = model["workers"]
    return int(worker["pid"])


@pytest.fixture(scope="session")
def client(server: TorchServe) -> Client:
    """Sends to the inference API."""
    return Client(server.inference_url)


@pytest.fixture(scope="session")
def management(server: TorchServe) -> Client:
    """Sends to the management API."""
    return Client(server.management_url)


@pytest.fixture(scope="session")
def demo(server: TorchServe) -> str:
    """The demo model's name, once it is served."""
    assert "demo" in server.models, "models/demo has no weights; scripts/train_demo.py makes them"
    return "demo"


@pytest.fixture(scope="session")
def zoo(store: Path) -> Exact:
    """What the small model must answer."""
    return read_exact(store / "zoo.mar")


@pytest.fixture(scope="session")
def grpc_client(server: TorchServe, tmp_path_factory: pytest.TempPathFactory) -> GrpcClient:
    """Calls the inference API over gRPC."""
    generate_stubs(tmp_path_factory.mktemp("stubs"))
    return GrpcClient(f"{HOST}:{server.ports.grpc_inference}")
