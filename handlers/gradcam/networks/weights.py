"""A network's weights: widened, checked against what it has, put in, frozen."""

from collections.abc import Mapping

from torch import Tensor, nn

from gradcam.errors import SettingsError


def freeze(network: nn.Module) -> nn.Module:
    """Lets no parameter require a gradient, so that autograd records only what follows a tap."""
    return network.requires_grad_(requires_grad=False)


def widen(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict with its half-precision weights in float32; the others are the same tensors."""
    return {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in state.items()
    }


def check_fit(name: str, network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Compares names and shapes.

    Args:
        name: What the network is called in the message.
        network: Whose state dict is expected.
        weights: The state dict that is given.

    Raises:
        SettingsError: The weights do not fit; the message names the first that does not.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    for tensor, shape in expected.items():
        if tensor not in given:
            raise SettingsError(f"the weights do not fit {name}: {tensor} is missing")
        if shape != given[tensor]:
            raise SettingsError(
                f"the weights do not fit {name}: {tensor} has shape {list(given[tensor])}, "
                f"expected {list(shape)} (is num_classes right?)"
            )
    for tensor in given:
        if tensor not in expected:
            raise SettingsError(
                f"the weights do not fit {name}: {tensor} is not one of its tensors"
            )
