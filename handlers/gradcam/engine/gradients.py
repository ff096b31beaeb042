"""Derivatives of several questions about one forward pass, together where autograd can."""

from collections.abc import Sequence

import torch
from torch import Tensor


def derive(
    logits: Tensor, outputs: Sequence[Tensor], coefficients: Tensor, *, keep_graph: bool
) -> list[Tensor | None]:
    """The derivatives of ``K`` linear combinations of the logits.

    Where the operations behind the outputs have batching rules, one backward pass carries all
    ``K``, which costs hardly more than one; where one has none, each has a pass of its own.

    Args:
        logits: ``[N, C]``.
        outputs: What to derive with respect to, ``[N, …]`` each, in the graph of the logits.
        coefficients: ``[K, N, C]``; question ``k`` is the sum of ``coefficients[k] · logits``.
        keep_graph: Whether the graph is to be used again.

    Returns:
        One for each output, ``[K, N, …]``; ``None`` where the logits do not depend on it.
    """
    if not logits.requires_grad:
        return [None] * len(outputs)
    coefficients = coefficients.to(logits.dtype)
    if len(coefficients) == 1:
        return _stacked([_derive_one(logits, outputs, coefficients[0], keep_graph=keep_graph)])
    try:
        return list(
            torch.autograd.grad(
                logits,
                outputs,
                coefficients,
                # a pass that fails half way has not freed what the loop needs then
                retain_graph=True,
                allow_unused=True,
                is_grads_batched=True,
            )
        )
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, NotImplementedError):  # an operation without a batching rule
        last = len(coefficients) - 1
        return _stacked(
            [
                _derive_one(logits, outputs, one, keep_graph=keep_graph or number < last)
                for number, one in enumerate(coefficients)
            ]
        )


def _derive_one(
    logits: Tensor, outputs: Sequence[Tensor], coefficients: Tensor, *, keep_graph: bool
) -> Sequence[Tensor | None]:
    return torch.autograd.grad(
        logits, outputs, coefficients, retain_graph=keep_graph, allow_unused=True
    )


def _stacked(rounds: Sequence[Sequence[Tensor | None]]) -> list[Tensor | None]:
    """From one list per question to one tensor per output."""
    stacked: list[Tensor | None] = []
    for column in zip(*rounds, strict=True):
        known = [gradient for gradient in column if gradient is not None]
        stacked.append(torch.stack(known) if known else None)
    return stacked
