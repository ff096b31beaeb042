"""A network in the precision and the memory layout that it is to compute in."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from gradcam.errors import EngineFault
from gradcam.survey.layers import LayerTable, survey_layers
from gradcam.survey.readout import Readout

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""By name; what maps are made of is float32 in any case."""


def lower_precision(network: nn.Module, dtype: torch.dtype, readout: Readout, like: Tensor) -> None:
    """Casts a network in place, but for what would lose more than it gains.

    Batch normalisation keeps its running statistics in float32, and takes any input. So does the
    linear layer that gives the logits: bfloat16 has eight significant bits, so that logits between
    8 and 16 would lie a sixteenth apart and the best two classes often be equal.

    Args:
        network: In float32 and in evaluation mode.
        dtype: ``torch.bfloat16`` or ``torch.float16``.
        readout: From its output to logits.
        like: A batch ``[1, 3, H, W]`` that it takes, in float32 and on its device.
    """
    last = _last_linear(network, readout, like)
    for module in network.modules():
        if _keeps_statistics(module) or module is last:
            continue
        for held in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
            if held.is_floating_point():
                held.data = held.data.to(dtype)
    if last is not None:
        last.register_forward_pre_hook(_in_full)


def lay_out(network: nn.Module, memory_format: torch.memory_format) -> None:
    """Lays the weights of convolutions out in place.

    With ``torch.channels_last`` the numbers of a pixel lie beside each other, which is the order
    that convolutions compute in: with ``torch.contiguous_format`` each reorders what it gets.
    """
    for held in network.parameters():
        if held.dim() == 4:
            held.data = held.data.contiguous(memory_format=memory_format)


def survey_laid_out(
    network: nn.Module, noise: Tensor, readout: Readout, *, channels_last: bool | None
) -> tuple[LayerTable, torch.memory_format]:
    """Lays a network out in place, and surveys it like that.

    Args:
        network: In evaluation mode.
        noise: A batch ``[1, 3, H, W]`` that it takes.
        readout: From its output to logits.
        channels_last: Whether it is to be laid out so; ``None`` if it can take it.

    Returns:
        Its layers, and the layout that pictures are to have.

    Raises:
        RuntimeError: The network fails, as from others of its own kinds.
    """
    if channels_last is not False:
        lay_out(network, torch.channels_last)
        laid_out = noise.contiguous(memory_format=torch.channels_last)
        two = torch.cat([noise, noise]).contiguous(memory_format=torch.channels_last)
        try:
            table = survey_layers(network, laid_out, readout)
            with torch.inference_mode():
                network(two)  # of one picture there is a view of much that several have none of
        except (RuntimeError, AssertionError):  # such as a view of what lies otherwise
            if channels_last:
                raise
            lay_out(network, torch.contiguous_format)
        else:
            return table, torch.channels_last
    return survey_layers(network, noise, readout), torch.contiguous_format


@contextmanager
def naming_faults(what: str) -> Iterator[None]:
    """Says what failed where a network does, in an :class:`EngineFault` instead of its error."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, AssertionError) as error:  # such as too small for all the strides
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise EngineFault(f"{what}: {reason}") from error


def where(network: nn.Module) -> tuple[torch.device, torch.dtype]:
    """The device and the precision of a network's first floating-point parameter."""
    for parameter in network.parameters():
        if parameter.is_floating_point():
            return parameter.device, parameter.dtype
    return torch.device("cpu"), torch.float32


def _in_full(_module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        one.float() if isinstance(one, Tensor) and one.is_floating_point() else one
        for one in inputs
    )


def _keeps_statistics(module: nn.Module) -> bool:
    """Whether it is a batch normalisation, in what form it may be (an exported one has no type)."""
    return "running_var" in dict(module.named_buffers(recurse=False))


def _is_linear(module: nn.Module) -> bool:
    """Whether it is a linear layer or looks like one, likewise."""
    weight = dict(module.named_parameters(recurse=False)).get("weight")
    return weight is not None and weight.dim() == 2 and not any(module.children())


def _last_linear(network: nn.Module, readout: Readout, like: Tensor) -> nn.Module | None:
    """The linear layer whose output the logits are, if there is one."""
    outputs: list[tuple[nn.Module, Tensor]] = []

    def keeper(module: nn.Module) -> Callable[..., None]:
        return lambda _module, _inputs, output: outputs.append((module, output))

    handles = [
        module.register_forward_hook(keeper(module))
        for module in network.modules()
        if _is_linear(module)
    ]
    try:
        with torch.inference_mode():
            logits = readout.find(network(like))
    finally:
        for handle in handles:
            handle.remove()
    given = (module for module, output in outputs if output.data_ptr() == logits.data_ptr())
    return next(given, None)
