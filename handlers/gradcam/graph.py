"""Questions about the autograd graph of one forward pass."""

from collections.abc import Sequence

from torch import Tensor
from torch.autograd.graph import Node

_COPIES = {"CloneBackward0", "AliasBackward0"}
_POOLING = ("Pool", "MeanBackward")


class Graph:
    """The nodes from a network's logits back to its input.

    Counts, for each node, the paths from the logits to it and from it to the input. A node through
    which as many paths lead as there are in all is a bottleneck: everything that the logits know
    about the picture passes there. (Path counts outgrow any float in a DenseNet; Python's integers
    do not mind.)
    """

    def __init__(self, logits: Tensor, inputs: Tensor) -> None:
        self._order = _topological_order(logits.grad_fn)
        self._from_logits = self._count_down()
        self._to_input = self._count_up(inputs)
        root = self._order[0] if self._order else None
        self._paths = self._to_input.get(root, 0) if root is not None else 0

    @property
    def reaches_input(self) -> bool:
        """Whether the logits depend on the input differentiably at all."""
        return self._paths > 0

    def is_used(self, tensor: Tensor) -> bool:
        """Whether the logits depend on the tensor."""
        return self._from_logits.get(tensor.grad_fn, 0) > 0

    def is_bottleneck(self, tensor: Tensor) -> bool:
        """Whether every path from the input to the logits leads through the tensor."""
        node = tensor.grad_fn
        through = self._from_logits.get(node, 0) * self._to_input.get(node, 0)
        return through == self._paths > 0

    def _count_down(self) -> dict[Node | None, int]:
        counts: dict[Node | None, int] = dict.fromkeys(self._order, 0)
        if self._order:
            counts[self._order[0]] = 1
        for node in self._order:
            for following in _following(node):
                counts[following] += counts[node]
        return counts

    def _count_up(self, inputs: Tensor) -> dict[Node | None, int]:
        counts: dict[Node | None, int] = {}
        for node in reversed(self._order):
            is_input = getattr(node, "variable", None) is inputs
            counts[node] = int(is_input) + sum(counts[after] for after in _following(node))
        return counts


def origin(tensor: Tensor, known: dict[Node | None, int]) -> int | None:
    """Which known tensor this one is a mere copy of, by its number in ``known``."""
    node: Node | None = _following_of_copy(tensor.grad_fn)
    while node is not None:
        if node in known:
            return known[node]
        if node.name() not in _COPIES:
            return None
        node = _following_of_copy(node)
    return None


def is_pooled(tensor: Tensor) -> bool:
    """Whether the tensor comes straight out of a pooling operation."""
    node = tensor.grad_fn
    while node is not None and node.name() in _COPIES:
        node = _following_of_copy(node)
    return node is not None and any(part in node.name() for part in _POOLING)


def _following(node: Node) -> Sequence[Node]:
    return [after for after, _ in node.next_functions if after is not None]


def _following_of_copy(node: Node | None) -> Node | None:
    following = _following(node) if node is not None else []
    return following[0] if following else None


def _topological_order(root: Node | None) -> list[Node]:
    """Every node before all that it leads to; without recursion, for networks are deep."""
    finished: list[Node] = []
    seen: set[Node] = set()
    stack: list[tuple[Node, bool]] = [(root, False)] if root is not None else []
    while stack:
        node, done = stack.pop()
        if done:
            finished.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((after, False) for after in _following(node) if after not in seen)
    return finished[::-1]
