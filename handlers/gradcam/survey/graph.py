"""Questions about the autograd graph of one forward pass."""

from collections.abc import Container, Mapping, Sequence
from typing import TypeVar

from torch import Tensor
from torch.autograd.graph import Node, get_gradient_edge

T = TypeVar("T")

_COPIES = {"CloneBackward0", "AliasBackward0"}
_POOLING = ("Pool", "MeanBackward")


class Graph:
    """The nodes from a root, such as a network's logits, back to its inputs.

    Counts, for each node, the paths from the root to it and from it to the inputs. A node through
    which as many paths lead as there are in all is a bottleneck: everything that the root knows
    about the picture passes there. (Path counts outgrow any float in a DenseNet; Python's integers
    do not mind.)
    """

    def __init__(self, root: Tensor | Node, *inputs: Tensor) -> None:
        start = root.grad_fn if isinstance(root, Tensor) else root
        self._inputs = inputs
        self.order = _topological_order(start)
        self._from_root = self._count_down()
        self._to_inputs = self._count_up({node_of(tensor) for tensor in inputs})
        self._paths = self._to_inputs[self.order[0]] if self.order else 0

    @property
    def reaches_input(self) -> bool:
        """Whether the root depends on the inputs differentiably at all."""
        return self._paths > 0

    def rooted_at(self, node: Node) -> "Graph":
        """The part of the graph that a node depends on, down to the same inputs."""
        return Graph(node, *self._inputs)

    def is_used(self, tensor: Tensor) -> bool:
        """Whether the root depends on the tensor."""
        return self._from_root.get(node_of(tensor), 0) > 0

    def is_bottleneck(self, tensor: Tensor) -> bool:
        """Whether every path from the inputs to the root leads through the tensor."""
        node = node_of(tensor)
        through = self._from_root.get(node, 0) * self._to_inputs.get(node, 0)
        return through == self._paths > 0

    def only_way(self, tensor: Tensor) -> list[str] | None:
        """The operations between the root and the tensor, from the root on.

        Returns:
            The nodes' names, without the tensor's own; ``None`` where there is more than one path
            from the inputs to the root this side of the tensor.
        """
        node: Node | None = self.order[0] if self.order else None
        end, names = node_of(tensor), []
        while node is not None and node is not end:
            names.append(node.name())
            ways = [after for after in following(node) if self._to_inputs[after]]
            node = ways[0] if len(ways) == 1 else None
        return names if node is not None else None

    def _count_down(self) -> dict[Node, int]:
        counts: dict[Node, int] = dict.fromkeys(self.order, 0)
        if self.order:
            counts[self.order[0]] = 1
        for node in self.order:
            for after in following(node):
                counts[after] += counts[node]
        return counts

    def _count_up(self, inputs: set[Node]) -> dict[Node, int]:
        counts: dict[Node, int] = {}
        for node in reversed(self.order):
            counts[node] = int(node in inputs) + sum(counts[after] for after in following(node))
        return counts


def node_of(tensor: Tensor) -> Node:
    """The node of a tensor that requires a gradient, be it computed or a leaf."""
    node: Node = get_gradient_edge(tensor).node
    return node


def following(node: Node) -> Sequence[Node]:
    """The nodes that a node leads to, nearer to the inputs.

    None where an operation stands in the graph without being differentiable: a quantised layer.
    """
    if "NotImplemented" in node.name():
        return []
    return [after for after, _ in node.next_functions if after is not None]


def nearest(tensor: Tensor, known: Mapping[Node, T], stop: Container[Node] = ()) -> T | None:
    """Of the known nodes that the tensor depends on, the one fewest steps away (not its own).

    Args:
        tensor: Requires a gradient.
        known: What is looked for.
        stop: Nodes beyond which nothing is looked for.
    """
    ring, seen = list(following(node_of(tensor))), set[Node]()
    while ring:
        for node in ring:
            if node in known:
                return known[node]
        ring = _next_ring(ring, seen, stop)
    return None


def operations_before(tensor: Tensor, stop: Container[Node]) -> set[str]:
    """The names of the operations between a tensor and the nodes that stop the search."""
    ring, seen = list(following(node_of(tensor))), set[Node]()
    while ring:
        ring = _next_ring(ring, seen, stop)
    return {node.name() for node in seen if node not in stop}


def _next_ring(ring: Sequence[Node], seen: set[Node], stop: Container[Node]) -> list[Node]:
    seen.update(ring)
    ahead = {after: None for node in ring if node not in stop for after in following(node)}
    return [node for node in ahead if node not in seen]


def origin(tensor: Tensor, known: dict[Node, int]) -> int | None:
    """Which known tensor this one is a mere copy of, by its number in ``known``."""
    node = _following_of_copy(tensor.grad_fn)
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


def _following_of_copy(node: Node | None) -> Node | None:
    ahead = following(node) if node is not None else []
    return ahead[0] if ahead else None


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
            stack.extend((after, False) for after in following(node) if after not in seen)
    return finished[::-1]
