"""Attention in the autograd graph: where it is, and what is inside of it."""

from collections.abc import Callable

from torch.autograd.graph import Node

from gradcam.survey.graph import Graph, following

_LINEAR = ("AddmmBackward", "MmBackward", "ConvolutionBackward")


def find_attentions(graph: Graph) -> list[Node]:
    """The nodes that mix tokens by attention, from the root on.

    That is a fused operation (all of PyTorch's, and most of others', have attention in their
    name), or the second of two batched matrix products with a softmax between.
    """
    return [node for node in graph.order if _is_fused(node) or _is_second_product(node)]


def find_insides(graph: Graph, attentions: list[Node]) -> set[Node]:
    """The nodes of queries, keys, values and weights.

    A node is inside where all that the root knows of it went through attentions, with no linear
    map between it and them: queries are, what they are projected from is not.
    """
    ends = set(attentions)
    outside: set[Node] = set(graph.order[:1])
    insides: set[Node] = set()
    for node in graph.order:
        is_inside = node not in outside and node not in ends
        if is_inside:
            insides.add(node)
        if node in ends or (is_inside and not _is_linear(node)):
            continue
        outside.update(following(node))
    return insides


def _is_fused(node: Node) -> bool:
    return "Attention" in node.name() or "FlashAttn" in node.name()


def _is_second_product(node: Node) -> bool:
    if not _is_product(node):
        return False
    weights = _first_ahead(node, _is_softmax)
    return weights is not None and _first_ahead(weights, _is_product) is not None


def _first_ahead(start: Node, wanted: Callable[[Node], bool]) -> Node | None:
    """The nearest wanted node that no matrix product and no linear map hides."""
    ring, seen = [start], {start}
    while ring:
        ahead = [after for node in ring for after in following(node) if after not in seen]
        for node in ahead:
            if wanted(node):
                return node
        seen.update(ahead)
        ring = [
            node for node in dict.fromkeys(ahead) if not (_is_product(node) or _is_linear(node))
        ]
    return None


def _is_softmax(node: Node) -> bool:
    return "SoftmaxBackward" in node.name()


def _is_product(node: Node) -> bool:
    return node.name().startswith("BmmBackward")


def _is_linear(node: Node) -> bool:
    return node.name().startswith(_LINEAR)
