"""Which method goes with which layer."""

from gradcam.methods import METHODS, Needs
from gradcam.survey.layers import Layer


def why_not(method: str, layer: Layer, call: int = -1) -> str:
    """The reason why a method makes no honest map at a layer, with the remedy; empty if it does.

    Args:
        method: A registered one.
        layer: A layer of the network's table.
        call: Which of its calls, from 0, or from the end below it.
    """
    if not -layer.calls <= call < layer.calls:
        times = "once" if layer.calls == 1 else f"{layer.calls} times"
        return (
            f"layer {layer.name!r} is called {times}, so there is no call {call}; give call 0 to "
            f"{layer.calls - 1}, or -1 for the last"
        )
    needs = METHODS[method].needs
    if not layer.differentiable and needs in (Needs.GRADIENTS, Needs.LINEAR_HEAD):
        return (
            f"method {method} needs a gradient, and the logits have none at layer {layer.name!r}, "
            "as behind a quantised or detached head; ask for method eigencam, which needs none"
        )
    if needs is Needs.LINEAR_HEAD and not layer.linear_head:
        return (
            f"method {method} is for a layer that only average pooling and one linear layer "
            f"follow, and more than that follows {layer.name!r}; ask for method gradcam, which is "
            "the same there up to a factor and right elsewhere"
        )
    return ""
