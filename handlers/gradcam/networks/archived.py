"""The network of an archive, from whichever source its settings name."""

from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from gradcam.errors import SettingsError
from gradcam.networks.by_name import load_network
from gradcam.networks.exported import load_exported
from gradcam.networks.own_file import load_own
from gradcam.settings import Settings

MODEL_FILE = "model.py"
"""What the user's own model file is called in an archive (``modelFile``)."""


def load_archived(
    settings: Settings, weights: Path, device: torch.device | str = "cpu"
) -> nn.Module:
    """Loads the network that an archive holds, in evaluation mode and frozen.

    Args:
        settings: The archive's.
        weights: Its ``serializedFile``: safetensors, or a ``torch.export`` archive. The user's own
            model file stands beside it.
        device: Where the network is to be.

    Raises:
        SettingsError: The archive's source, weights and settings do not fit together; one sentence.
    """
    if settings.source == "exported":
        return load_exported(weights, device)
    state, options = _read_weights(weights), settings.architecture_options
    if settings.source == "file":
        network = load_own(weights.with_name(MODEL_FILE), state, options)
    else:
        network = load_network(
            settings.architecture, settings.num_classes, state, options, settings.source
        )
    return network.to(device)


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except (OSError, SafetensorError) as error:
        raise SettingsError(
            f"the archive's weights (serializedFile) cannot be read as safetensors: {path.name}: "
            f"{error}"
        ) from error
