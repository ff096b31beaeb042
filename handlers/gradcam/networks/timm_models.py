"""timm's classifiers. timm is imported only here, and only for an archive whose source it is."""

import difflib
import importlib
import sys
from collections.abc import Mapping
from typing import Any

from torch import nn

from gradcam.errors import SettingsError


def timm() -> Any:
    """The package timm.

    Raises:
        SettingsError: It is not installed where this runs; the message has the command for it.
    """
    try:
        return importlib.import_module("timm")
    except ModuleNotFoundError as error:
        if error.name != "timm":
            raise
        raise SettingsError(
            "the module timm is missing, which a model of source timm needs; install it with: "
            f"{sys.executable} -m pip install timm"
        ) from error


def create(architecture: str, keywords: Mapping[str, Any]) -> nn.Module:
    """Builds a network without pretrained weights.

    Args:
        architecture: A name that timm knows, with or without a pretrained tag.
        keywords: ``num_classes`` and further arguments of ``timm.create_model``.

    Raises:
        SettingsError: timm is missing, or does not know the name or one of the arguments.
    """
    package = timm()
    plain = architecture.partition(".")[0]
    if not package.is_model(architecture):  # also keeps hub addresses out, which would download
        close = difflib.get_close_matches(plain, package.list_models(), n=3, cutoff=0.0)
        raise SettingsError(
            f"timm {package.__version__} has no architecture {architecture!r}; the closest are "
            f"{', '.join(close)}"
        )
    if "." in architecture and not package.models.is_model_pretrained(architecture):
        tags = [name.partition(".")[2] for name in package.list_pretrained(f"{plain}.*")]
        raise SettingsError(
            f"timm {package.__version__} has no pretrained tag {architecture!r}; {plain} has "
            f"{', '.join(tags) or 'none'}"
        )
    network: nn.Module = package.create_model(architecture, pretrained=False, **keywords)
    return network
