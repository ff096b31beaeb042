"""The door: the one module that knows TorchServe.

It turns a batch and its context into requests, and responses into bytes, headers and statuses; all
else is ``gradcam.service`` and what lies behind it. TorchServe wants exactly one class here.
"""

import hashlib
import logging
import sys
from http import HTTPStatus
from pathlib import Path
from typing import Any

# the archive's own engine, not one that happens to be installed beside TorchServe
sys.path.insert(0, str(Path(__file__).resolve().parent))

try:
    import safetensors.torch
    import torch

    import gradcam
    from gradcam import document, labels, networks, service
    from gradcam.errors import GradcamError, SettingsError
    from gradcam.settings import read_settings
except ModuleNotFoundError as missing:
    _package = {"cv2": "opencv-python-headless", "PIL": "pillow"}.get(
        str(missing.name), missing.name
    )
    raise RuntimeError(
        f"gradcam: the module {missing.name!r} is missing in TorchServe's environment "
        f"({sys.executable}); install it with: {sys.executable} -m pip install {_package}"
    ) from None

logger = logging.getLogger(__name__)


class GradCAMHandler:
    """Answers TorchServe's inference, explanation and description requests for one model."""

    def initialize(self, context: Any) -> None:
        """Loads the archive's model onto the serving device, and surveys its layers.

        Args:
            context: TorchServe's ``ts.context.Context``.

        Raises:
            SettingsError: The archive is set up wrongly; the same sentence is in the log.
        """
        try:
            self._service = _load(context)
        except (GradcamError, SettingsError) as error:
            # one clear line: TorchServe adds its own traceback for what is raised here
            logger.error("gradcam: %s cannot be loaded: %s", context.model_name, error)  # noqa: TRY400
            raise SettingsError(str(error)) from None

    def handle(self, data: list[dict[str, Any]], context: Any) -> list[bytes]:
        """Answers a batch; every request has its own status, content type and body."""
        requests = [(row, context.get_all_request_header(index)) for index, row in enumerate(data)]
        responses = self._service.answer(requests)
        for index, response in enumerate(responses):
            context.set_response_status(response.status, HTTPStatus(response.status).phrase, index)
            context.set_response_content_type(index, response.content_type)
        return [response.body for response in responses]


def _load(context: Any) -> service.Service:
    folder = Path(context.system_properties["model_dir"])
    settings = read_settings(context.model_yaml_config)
    model = context.manifest["model"]
    weights = folder / model["serializedFile"]
    network = networks.load_network(
        settings.architecture,
        settings.num_classes,
        safetensors.torch.load_file(weights),
        settings.architecture_options,
    )
    gpu = context.system_properties.get("gpu_id")
    device = torch.device(f"cuda:{gpu}" if gpu is not None and torch.cuda.is_available() else "cpu")
    explainer = gradcam.Explainer(network.to(device), settings.preprocessing.crop_size)
    card = document.ModelCard(
        name=str(context.model_name),
        version=str(model.get("modelVersion", "1.0")),
        architecture=settings.architecture,
        weights_sha256=_sha256(weights),
    )
    classes = labels.load_class_names(folder / "index_to_name.json", settings.num_classes)
    loaded = service.Service(explainer, settings, classes, card)
    logger.info(
        "gradcam: %s loaded on %s, %s with %d classes, target layer %s",
        card.name,
        device,
        settings.architecture,
        settings.num_classes,
        settings.layer or explainer.layers.default,
    )
    return loaded


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
