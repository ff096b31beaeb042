"""A network out of a ``torch.export`` archive: its modules again, and what pictures it takes."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gradcam.errors import SettingsError
from gradcam.networks.pt2_archive import repack
from gradcam.networks.weights import freeze

_FLOAT32 = 7  # in the numbering of torch.export's files
_HOW = (
    "export it with torch.export.export(model.eval(), (torch.zeros(2, 3, 224, 224),), "
    'dynamic_shapes=({0: torch.export.Dim("batch")},))'
)


@dataclass(frozen=True)
class Input:
    """What an exported network takes.

    Attributes:
        most_rows: Pictures in one forward pass at most; ``None`` for any number.
        size: ``(height, width)`` in pixels; ``None`` where the export leaves a side open.
    """

    most_rows: int | None
    size: tuple[int, int] | None


def load_exported(path: Path, device: torch.device | str = "cpu") -> nn.Module:
    """Loads an archive as modules with their former names, in evaluation mode and frozen.

    No code of the archive's own runs, and nothing in it is unpickled (``pt2_archive.py``).

    Args:
        path: What ``torch.export.save`` wrote, or :func:`gradcam.networks.pt2_archive.repack`.
        device: Where the network is to be. It cannot be moved later: a program names devices.

    Raises:
        SettingsError: The file cannot be loaded safely, or is no classifier of pictures in
            evaluation mode that takes batches; the message says how to export it.
    """
    repacked = repack(path)
    check_exported(path.name, repacked.program)
    try:
        with _quiet():
            program = torch.export.load(BytesIO(repacked.data))
            if torch.device(device).type != "cpu":
                from torch.export.passes import move_to_device_pass  # noqa: PLC0415 - rarely wanted

                program = move_to_device_pass(program, str(device))
            network = torch.export.unflatten(program)
    except Exception as error:  # torch raises whatever its own code comes upon
        made = str(repacked.program.get("torch_version", "unknown"))
        raise SettingsError(
            f"the exported model {path.name} was made by torch {made} and cannot be loaded by "
            f"torch {torch.__version__}: {type(error).__name__}: "
            f"{(str(error).splitlines() or [''])[0]}"
        ) from error
    _forget_tracing(network)
    return freeze(network.eval())


def read_input(program: Mapping[str, Any]) -> Input:
    """Reads off an archive's program what the network takes.

    Raises:
        SettingsError: It takes something else than a batch of pictures.
    """
    graph = program["graph_module"]["graph"]
    names = [
        specification["user_input"]["arg"].get("as_tensor", {}).get("name")
        for specification in program["graph_module"]["signature"]["input_specs"]
        if "user_input" in specification
    ]
    if len(names) != 1 or names[0] not in graph["tensor_values"]:
        raise SettingsError(f"takes {len(names)} inputs instead of one batch of pictures; {_HOW}")
    meta = graph["tensor_values"][names[0]]
    sizes = [size.get("as_int") for size in meta["sizes"]]
    if len(sizes) != 4 or sizes[1] != 3 or meta["dtype"] != _FLOAT32:
        raise SettingsError(f"does not take float32 pictures [N, 3, height, width]; {_HOW}")
    if sizes[0] is not None:
        raise SettingsError(
            f"takes batches of exactly {sizes[0]}, and requests come in any number; {_HOW}"
        )
    bounds = [
        bound["max_val"]
        for symbol, bound in program["range_constraints"].items()
        if f"Symbol('{symbol}'," in meta["sizes"][0]["as_expr"]["expr_str"]
    ]
    most = min((bound for bound in bounds if bound is not None), default=None)
    height, width = sizes[2:]
    return Input(most, None if height is None or width is None else (height, width))


def check_exported(name: str, program: Mapping[str, Any]) -> Input:
    """Checks that a program is a classifier in evaluation mode that takes batches of pictures.

    Args:
        name: The file's, for the message.
        program: As :func:`gradcam.networks.pt2_program.checked_program` gives it.

    Raises:
        SettingsError: It is none; the message says how to export one.
    """
    try:
        taken = read_input(program)
        _check_evaluating(program)
    except (LookupError, TypeError, AttributeError) as error:
        raise SettingsError(
            f"the exported model {name} is not a program that torch.export wrote ({error!r})"
        ) from error
    except SettingsError as error:
        raise SettingsError(f"the exported model {name} {error}") from error
    return taken


def _check_evaluating(program: Mapping[str, Any]) -> None:
    own = {
        kind["arg"]["name"]
        for specification in program["graph_module"]["signature"]["input_specs"]
        for key, kind in specification.items()
        if key in ("parameter", "buffer", "tensor_constant")
    }
    for node in program["graph_module"]["graph"]["nodes"]:
        operator = node["target"].split(".")
        values = {one["name"]: one["arg"] for one in node["inputs"]}
        training = any(values.get(key) == {"as_bool": True} for key in ("training", "train"))
        dropout = values.get("dropout_p", {}).get("as_float", 0)
        if training or dropout:
            raise SettingsError(
                f"was exported in training mode ({operator[-2]} is switched on); {_HOW}"
            )
        first = node["inputs"][0]["arg"].get("as_tensor", {}).get("name") if values else None
        if operator[-2:-1] and operator[-2].endswith("_") and first in own:
            raise SettingsError(
                f"changes its own tensor {first} whenever it is called, as a network does in "
                f"training mode; {_HOW}"
            )


@contextmanager
def _quiet() -> Iterator[None]:
    """Loading speaks of its own fallbacks and of future changes, in the worker's log."""
    loggers = [logging.getLogger(name) for name in ("torch.export", "torch._export")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _forget_tracing(network: nn.Module) -> None:
    """Lets go of the tensors of the trace, which no copy of a network can be made with.

    What the network takes has been checked here, so that its own check is not needed either.
    """
    setattr(network, "check_input_constraints", False)  # noqa: B010 - nn.Module's type has none
    for module in network.modules():
        graph = getattr(module, "graph", None)
        for node in graph.nodes if isinstance(graph, torch.fx.Graph) else ():
            node.meta = {}
