"""Hooks that take a layer's output out of a forward pass, and make autograd start there."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Tapped:
    """One call of one module.

    Attributes:
        name: The module's dotted name.
        output: A private copy of its output, part of the autograd graph.
    """

    name: str
    output: Tensor


@contextmanager
def tap(
    network: nn.Module, names: Iterable[str], projections: Sequence[Tensor] = ()
) -> Iterator[list[Tapped]]:
    """Records every call of the named modules while the context is open.

    Each hook keeps a private copy of the module's output and hands on a copy of that. The first
    copy is the one to differentiate: it must be private because the output may alias the module's
    own input (an identity, dropout in evaluation), which the network may modify later. The second
    is there because the network may modify in place what it got. Where nothing before the module
    requires a gradient the copy becomes a leaf, so nothing before it is ever recorded; where
    something does (a tap further up) it stays in the graph, so that several taps are exact in one
    pass.

    Keep the context open through the backward pass: non-reentrant checkpointing calls the modules
    again then.

    Args:
        network: Its hooks are as before when the context closes, also after an exception.
        names: Dotted names of modules.
        projections: Weights that :func:`input_projections` found. From the first tapped call on
            they require gradients, so what comes before is still not recorded, and nobody asks for
            theirs.
    """
    calls: list[Tapped] = []
    handles = []
    frozen = [weight for weight in projections if not weight.requires_grad]

    def thaw(*_: object) -> None:
        for weight in frozen:
            weight.requires_grad = True

    try:
        for name in names:
            module = network.get_submodule(name)
            handles.append(module.register_forward_hook(_keeper(name, calls)))
            if frozen:
                handles.append(module.register_forward_hook(thaw))
        yield calls
    finally:
        for handle in handles:
            handle.remove()
        for weight in frozen:
            weight.requires_grad = False


def input_projections(modules: Iterable[nn.Module]) -> list[Tensor]:
    """The weights that torch's attention multiplies its input by.

    The input lies transposed there, and of such torch takes one product for every token in the
    backward pass, not one for all, if the weight does not require a gradient (``should_fold`` of
    its matmul): half as long again.
    """
    return [
        module.in_proj_weight
        for module in modules
        if isinstance(module, nn.MultiheadAttention)
        and module.in_proj_weight is not None
        and not module.in_proj_weight.is_inference()
    ]


@contextmanager
def transform(
    network: nn.Module, name: str, call: int, change: Callable[[Tensor], Tensor]
) -> Iterator[None]:
    """Changes what one call of a module hands on, while the context is open.

    Args:
        network: Its hooks are as before when the context closes, also after an exception.
        name: The module's dotted name.
        call: Which of its calls in a forward pass, from 0.
        change: Gets the first floating-point tensor of the module's output, and gives what takes
            its place; it may have another number of rows.
    """
    calls = 0

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        nonlocal calls
        calls += 1
        return _replace_first(output, change) if calls == call + 1 else output

    handle = network.get_submodule(name).register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _keeper(name: str, calls: list[Tapped]) -> Callable[[nn.Module, Any, Any], Any]:
    def keep(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        with torch.enable_grad():

            def copy(tensor: Tensor) -> Tensor:
                kept = tensor.clone()
                if not kept.requires_grad:
                    kept.requires_grad_()
                calls.append(Tapped(name, kept))
                return kept.clone()

            return _replace_first(output, copy)

    return keep


def _replace_first(output: Any, replace: Callable[[Tensor], Tensor]) -> Any:
    """Replaces the first floating-point tensor of a module's output, whatever holds it."""
    if isinstance(output, Tensor):
        return replace(output) if output.is_floating_point() else output
    kind: Any = type(output)
    if isinstance(output, Mapping):
        for key, value in output.items():
            replaced = _replace_first(value, replace)
            if replaced is not value:
                items = {**output, key: replaced}
                # a mapping that is a dataclass, as transformers' outputs are, takes keywords
                return kind(**items) if is_dataclass(output) else kind(items)
    elif isinstance(output, tuple | list):
        for position, value in enumerate(output):
            replaced = _replace_first(value, replace)
            if replaced is not value:
                values = [*output[:position], replaced, *output[position + 1 :]]
                return kind(*values) if hasattr(output, "_fields") else kind(values)
    return output
