"""Local files of weights: safetensors, and what ``torch.save`` wrote, read without running it."""

import contextlib
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from packaging_options import PackagingError

State = Mapping[str, Tensor]

_SUFFIXES = (".pth", ".pt", ".safetensors")


def is_state_file(weights: str) -> bool:
    """Whether ``--weights`` means a file rather than a name, there or not."""
    return weights.endswith(_SUFFIXES) or Path(weights).is_file()


def read_state_file(path: Path) -> dict[str, Tensor]:
    """Reads a state dict: safetensors, or what ``torch.save`` wrote, without running its code.

    Raises:
        PackagingError: The file holds something else; the message says what to save instead.
    """
    if not path.is_file():
        raise PackagingError(f"the weights file {path} does not exist")
    if path.suffix == ".safetensors":
        try:
            return dict(safetensors.torch.load_file(path))
        except (SafetensorError, OSError) as error:
            raise PackagingError(f"{path} cannot be read as safetensors: {error}") from error
    if _is_torchscript(path):
        raise PackagingError(
            f"{path} is a TorchScript file, which takes no hooks and so gives no Grad-CAM; "
            f"{_INSTEAD}"
        )
    with _explained(path):
        return _state_dict(path, torch.load(path, map_location="cpu", weights_only=True))


_SUPPLY = (
    "give a state dict, as torch.save(model.state_dict(), 'weights.pth') writes it, or a "
    ".safetensors file"
)
_INSTEAD = "save the eager model's weights instead: torch.save(model.state_dict(), 'weights.pth')"


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except pickle.UnpicklingError as error:
        told = str(error)
        if "Unsupported operand" in told or not ("GLOBAL" in told or "Unsupported" in told):
            raise PackagingError(f"{path} is not a file of PyTorch weights; {_SUPPLY}") from error
        raise PackagingError(
            f"{path} holds pickled objects such as a whole module, which could run code when "
            f"loaded; {_INSTEAD}"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, LookupError) as error:
        # what is not a pickle fails in many ways, none of which says more than this
        raise PackagingError(
            f"{path} is not a file of PyTorch weights, or is damaged; {_SUPPLY}"
        ) from error


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as file:
        names = [name.split("/", 1)[-1] for name in file.namelist()]
    return "constants.pkl" in names or any(name.startswith("code/") for name in names)


def _state_dict(path: Path, loaded: object) -> dict[str, Tensor]:
    for key in ("state_dict", "model", "model_state_dict"):  # training checkpoints
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    if not isinstance(loaded, Mapping) or not loaded:
        raise PackagingError(f"{path} holds a {type(loaded).__name__}, no state dict; {_INSTEAD}")
    for name, value in loaded.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise PackagingError(
                f"{path} holds {name!r} beside its tensors and so is no state dict; {_INSTEAD}"
            )
    wrapped = all(name.startswith("module.") for name in loaded)  # by DataParallel
    return {name.removeprefix("module.") if wrapped else name: loaded[name] for name in loaded}
