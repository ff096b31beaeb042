"""The first requests to a served model: a photograph's predictions and their explanation."""

import importlib.util
import json
import urllib.error
import urllib.request
from pathlib import Path

from local_ports import open_local
from torchserve_process import TorchServe, TorchServeError


class RefusalError(TorchServeError):
    """The model answered that it cannot do what was asked."""


def photograph() -> Path:
    """The cat Chelsea, CC0, as scikit-image ships it.

    Raises:
        TorchServeError: scikit-image is not installed.
    """
    package = importlib.util.find_spec("skimage")  # looked up, as importing it takes seconds
    if package is None or package.origin is None:
        raise TorchServeError("scikit-image is not installed; run ./scripts/serve.sh")
    return Path(package.origin).parent / "data" / "chelsea.png"


def predict(server: TorchServe, name: str, picture: Path) -> dict[str, float]:
    """The probabilities by label, best first.

    Raises:
        TorchServeError: The model refused.
    """
    answer: dict[str, float] = json.loads(_post(server, f"predictions/{name}", picture, {}))
    return answer


def save_overlay(server: TorchServe, name: str, picture: Path, path: Path) -> None:
    """Asks for the map on the picture and saves it as a PNG.

    Raises:
        TorchServeError: The model refused.
    """
    path.write_bytes(_post(server, f"explanations/{name}", picture, {"Accept": "image/png"}))


def table(predictions: dict[str, float]) -> str:
    """The predictions as lines of text."""
    width = max(5, *(len(label) for label in predictions))
    rows = [f"  rank  {'label':{width}}  probability"]
    rows += [
        f"  {rank:4}  {label:{width}}  {probability:11.4f}"
        for rank, (label, probability) in enumerate(predictions.items(), 1)
    ]
    return "\n".join(rows)


def curl_lines(server: TorchServe, name: str) -> str:
    """Commands to copy."""
    predictions = f"{server.inference_url}/predictions/{name}"
    explanations = f"{server.inference_url}/explanations/{name}"
    return "\n".join(
        [
            f"  curl -T photo.jpg {predictions}",
            f"  curl -T photo.jpg -H 'Accept: image/png' {explanations} -o cam.png",
            f"  curl -F image=@photo.jpg -F target=top3 -F overlay=jpeg {explanations}",
        ]
    )


def _post(server: TorchServe, path: str, picture: Path, headers: dict[str, str]) -> bytes:
    request = urllib.request.Request(
        f"{server.inference_url}/{path}",
        data=picture.read_bytes(),
        headers={"Content-Type": "application/octet-stream", **headers},
    )
    try:
        with open_local(request, 120) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        told = error.read().decode(errors="replace")
        kind = RefusalError if error.code == 422 else TorchServeError
        raise kind(f"/{path} answered {error.code}: {_message(told)}") from error
    except OSError as error:
        raise TorchServeError(f"/{path} gave no answer: {error}") from error


def _message(body: str) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body[:300]
