"""The user's own model file: one class, by TorchServe's convention, and its weights."""

import hashlib
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from gradcam.errors import SettingsError
from gradcam.networks.weights import check_fit, freeze, widen


def read_class(path: Path) -> type[nn.Module]:
    """Runs a model file and gives the one ``nn.Module`` class that it defines.

    Classes that the file only imports do not count, and neither do classes within its class.

    Raises:
        SettingsError: The file cannot be run, or defines no such class or several.
    """
    module = _run(path)
    found = [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, nn.Module)
        and value.__module__ == module.__name__
    ]
    classes = list(dict.fromkeys(found))  # a second name for a class does not make two
    if not classes:
        raise SettingsError(
            f"the model file {path.name} defines no nn.Module class; it needs exactly one"
        )
    if len(classes) > 1:
        names = ", ".join(one.__name__ for one in classes)
        raise SettingsError(
            f"the model file {path.name} defines {len(classes)} nn.Module classes ({names}), and "
            "TorchServe's convention is exactly one; define the others inside it, or serve a "
            "torch.export archive instead"
        )
    return classes[0]


def build_own(path: Path, options: Mapping[str, Any] | None = None) -> nn.Module:
    """Builds the network of a model file, with whatever weights its constructor gives it.

    Args:
        path: The file.
        options: Keyword arguments of the class's constructor.

    Raises:
        SettingsError: See :func:`read_class`; or the constructor fails.
    """
    cls = read_class(path)
    try:
        return cls(**(options or {}))
    except Exception as error:  # it is the user's code: anything can come out of it
        raise SettingsError(
            f"{cls.__name__} of the model file {path.name} cannot be constructed: {_told(error)}"
        ) from error


def load_own(
    path: Path, state: Mapping[str, Tensor], options: Mapping[str, Any] | None = None
) -> nn.Module:
    """Builds the network of a model file around given weights, in evaluation mode and frozen.

    Args:
        path: The file.
        state: The state dict; half-precision weights are widened to float32.
        options: Keyword arguments of the class's constructor.

    Raises:
        SettingsError: See :func:`build_own`; or the weights do not fit, and then the message names
            the first that does not.
    """
    network = build_own(path, options)
    weights = widen(state)
    check_fit(type(network).__name__, network, weights)
    network.float().load_state_dict(weights)
    return freeze(network.eval())


def _run(path: Path) -> ModuleType:
    try:
        source = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"the model file {path} cannot be read: {error.strerror}") from error
    # a name of its own, so that it can neither hide a package nor another model's file
    name = f"gradcam_model_{hashlib.sha256(source).hexdigest()[:16]}"
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # dataclasses look their module up there
    try:
        # run here rather than imported, which would leave a __pycache__ beside the user's file
        exec(compile(source, str(path), "exec"), vars(module))
    except ModuleNotFoundError as error:
        del sys.modules[name]
        raise SettingsError(
            f"the model file {path.name} imports {error.name!r}, which is missing where it runs; "
            "it must stand alone, but for packages that are installed there"
        ) from error
    except Exception as error:
        del sys.modules[name]
        raise SettingsError(f"the model file {path.name} cannot be run: {_told(error)}") from error
    return module


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
