"""Serves a model with TorchServe on this machine, in the foreground, until Ctrl-C."""

import argparse
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from first_requests import RefusalError, curl_lines, photograph, predict, save_overlay, table
from local_ports import PortInUseError, Ports
from packaging_arguments import add_packaging_options, names_a_source, read_packaging_options
from packaging_options import DEMO_ARCHITECTURE, PackagingError, PackagingOptions
from repository import ROOT
from stop_signals import Stopped, StopSignals
from torchserve_process import TorchServe, TorchServeError

_EXAMPLES = """
examples:
  ./scripts/serve.sh                               the demo model
  ./scripts/serve.sh --arch vgg19 --squash         packages VGG19 (downloads its weights), serves it
  ./scripts/serve.sh --arch resnet18 --weights none --seed 0
  ./scripts/serve.sh --exported net.pt2            a torch.export archive
  ./scripts/serve.sh vgg19 densenet201             archives that model_store/ holds
  ./scripts/serve.sh --port 9080 --management-port 9081 --metrics-port 9082 --grpc-port 9070
"""
_PORT_OPTIONS = {
    "inference": "--port",
    "management": "--management-port",
    "metrics": "--metrics-port",
    "grpc_inference": "--grpc-port",
    "grpc_management": "--grpc-port, which it is one above",
}


def main() -> int:
    """Runs the command line."""
    arguments = _parser().parse_args()
    signals = StopSignals()
    try:
        ports = Ports(
            arguments.port,
            arguments.management_port,
            arguments.metrics_port,
            arguments.grpc_port,
            arguments.grpc_port + 1,
        )
        ports.check_free(_PORT_OPTIONS)
        store, models = _models(arguments, signals)
        logs = ROOT / "run" / f"logs-{ports.inference}"
        server = TorchServe(store, models, ports, log_dir=logs)
        _serve(server, signals, check=arguments.check)
    except (PortInUseError, TorchServeError, PackagingError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        return error.returncode  # it has said why
    except Stopped:
        print("stopped", flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./scripts/serve.sh",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "names", nargs="*", metavar="ARCHIVE", help="names of archives in model_store/ to serve"
    )
    parser.add_argument(
        "--arch",
        metavar="NAME",
        help="package this torchvision classification model with the options below and serve it",
    )
    parser.add_argument("--port", type=int, default=8080, metavar="N", help="default: 8080")
    parser.add_argument(
        "--management-port", type=int, default=8081, metavar="N", help="default: 8081"
    )
    parser.add_argument("--metrics-port", type=int, default=8082, metavar="N", help="default: 8082")
    parser.add_argument(
        "--grpc-port",
        type=int,
        default=7070,
        metavar="N",
        help="default: 7070; gRPC management is one above",
    )
    parser.add_argument(
        "--no-check", dest="check", action="store_false", help="send no photograph first"
    )
    add_packaging_options(parser)
    return parser


def _models(arguments: argparse.Namespace, signals: StopSignals) -> tuple[Path, dict[str, str]]:
    """The model store, and what to serve from it: packaged now, or found there."""
    if arguments.names and names_a_source(arguments):
        raise TorchServeError("give either a model to package or names of archives, not both")
    store: Path = arguments.export_path
    if not arguments.names:
        if not names_a_source(arguments):
            arguments.arch = DEMO_ARCHITECTURE
        options = read_packaging_options(arguments)
        _package(options, signals)
        return store, {options.name: options.archive.name}
    models = {
        name.removesuffix(".mar"): f"{name.removesuffix('.mar')}.mar" for name in arguments.names
    }
    for file in models.values():
        if not (store / file).is_file():
            there = ", ".join(sorted(path.stem for path in store.glob("*.mar"))) or "none"
            raise TorchServeError(
                f"{store / file} does not exist (archives there: {there}); package a model with "
                "scripts/package_model.py, or with --arch"
            )
        if not _is_archive(store / file):
            raise TorchServeError(f"{store / file} is not a whole model archive; package it again")
    return store, models


def _is_archive(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return "MAR-INF/MANIFEST.json" in archive.namelist()
    except zipfile.BadZipFile:
        return False


def _package(options: PackagingOptions, signals: StopSignals) -> None:
    # a process of its own, so that torch's memory is given back
    command = [sys.executable, str(Path(__file__).with_name("package_model.py"))]
    command += [*options.as_arguments(), "--if-changed"]
    process = None
    try:
        with signals.held():
            process = subprocess.Popen(command)
        code = process.wait()
    finally:
        if process is not None:
            process.terminate()
            process.wait()
    if code:
        raise subprocess.CalledProcessError(code, command)


def _serve(server: TorchServe, signals: StopSignals, *, check: bool) -> None:
    names = list(server.models)
    begun = time.monotonic()
    print(f"starting TorchServe with {', '.join(names)} ...", flush=True)
    try:
        with signals.held():
            server.start()
        server.wait_ready(progress=_every(5, "waiting for a worker to load the model"))
        print(f"ready after {time.monotonic() - begun:.0f} s", flush=True)
        for name in names:
            if check:
                _check(server, name)
            print(f"\nAsk it yourself:\n{curl_lines(server, name)}\n", flush=True)
        print(
            f"Serving on {server.inference_url}, logs in {server.log_dir}. Ctrl-C stops it.",
            flush=True,
        )
        while server.running:
            time.sleep(0.5)
        raise TorchServeError(f"TorchServe ended by itself; see the logs in {server.log_dir}")
    except Stopped:
        print("\nstopping ...", flush=True)
        raise
    finally:
        signals.ignore()
        server.stop()


def _check(server: TorchServe, name: str) -> None:
    picture = photograph()
    overlay = ROOT / "run" / f"{name}-chelsea-overlay.png"
    print(f"\n{name} on a photograph of a cat ({picture.name}, CC0):\n", flush=True)
    print(table(predict(server, name, picture)))
    try:
        save_overlay(server, name, picture, overlay)
    except RefusalError as error:  # a vision transformer predicts, and cannot be explained
        print(f"\nThis model gives no explanation: {error}", flush=True)
        return
    print(f"\nIts first prediction is explained in {overlay}", flush=True)


def _every(seconds: float, sentence: str) -> Callable[[float], None]:
    """A progress report that speaks every few seconds."""
    last = 0.0

    def report(passed: float) -> None:
        nonlocal last
        if passed - last >= seconds:
            last = passed
            print(f"  {passed:.0f} s: {sentence} ...", flush=True)

    return report


if __name__ == "__main__":
    sys.exit(main())
