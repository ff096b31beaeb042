"""Logits out of whatever a network gives: a tensor, or a tuple, mapping or dataclass around one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from gradcam.errors import EngineFault

_USUAL_NAME = "logits"


@dataclass(frozen=True)
class Readout:
    """How to read logits off a network's output.

    A network with one logit ``z`` tells two sides apart. It is read as two classes, 0 the negative
    with logit ``-z`` and 1 the positive with ``z``, so that either side can be predicted and
    explained. (The sigmoid of each is that side's probability.)

    Attributes:
        output: The name or the position of the logits in the network's output. ``None`` takes the
            output itself, else what is called ``logits``, else the first tensor ``[N, C]``.
    """

    output: str | int | None = None

    def __call__(self, output: object) -> Tensor:
        """Reads the logits.

        Args:
            output: What the network gave.

        Returns:
            ``[N, C]`` with at least two classes.

        Raises:
            EngineFault: There is nothing like that in the output.
        """
        found = self.find(output)
        return torch.cat([-found, found], dim=1) if found.shape[1] == 1 else found

    def find(self, output: object) -> Tensor:
        """The logits as the network gives them: ``[N, C]``; ``[N]`` is one logit, ``[N, 1]``.

        Raises:
            EngineFault: There is nothing like that in the output.
        """
        found = _named(output, self.output) if self.output is not None else _found(output)
        if isinstance(found, Tensor) and found.dim() == 1:
            found = found[:, None]
        if not isinstance(found, Tensor) or found.dim() != 2 or not found.is_floating_point():
            what = f"the network gave {_shape(found)}, not logits of shape [N, C]"
            hint = (
                "" if isinstance(output, Tensor) else f"; output names them, one of {_keys(output)}"
            )
            raise EngineFault(what + hint)
        return found


def _found(output: object) -> object:
    if isinstance(output, Tensor):
        return output
    parts = dict(_parts(output))
    if _USUAL_NAME in parts:
        return parts[_USUAL_NAME]
    fitting = (part for part in parts.values() if isinstance(part, Tensor) and part.dim() == 2)
    return next(fitting, output)


def _named(output: object, name: str | int) -> object:
    parts = dict(_parts(output))
    if name not in parts:
        raise EngineFault(f"the network's output has no {name!r}; it has {_keys(output)}")
    return parts[name]


def _parts(output: Any) -> Iterator[tuple[str | int, object]]:
    """The parts of an output by name, or by position where they have none."""
    if isinstance(output, Mapping):
        yield from output.items()
    elif is_dataclass(output):
        yield from ((field.name, getattr(output, field.name)) for field in fields(output))
    elif isinstance(output, Sequence) and not isinstance(output, str | bytes):
        yield from enumerate(output)
        yield from ((name, getattr(output, name)) for name in getattr(output, "_fields", ()))


def _keys(output: object) -> str:
    keys = [str(key) for key, _ in _parts(output)]
    return ", ".join(keys) or f"nothing, for it is a {type(output).__name__}"


def _shape(found: object) -> str:
    return str(list(found.shape)) if isinstance(found, Tensor) else type(found).__name__
