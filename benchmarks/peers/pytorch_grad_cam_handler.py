"""The handler that one writes around pytorch-grad-cam: TorchServe's own, with maps.

Preprocessing, labels and probabilities are ``image_classifier``'s. The library is called as its
documents do: a context manager around each batch, the batch's best classes in one backward pass,
and the logits out of the same forward pass. Parameters are not frozen, for the library would then
find no gradient.

A request is explained if it came to ``/explanations``, and answered with predictions and the
library's map, which has the size of the network's input. The header ``X-Explain-Overlay: jpeg``
asks for the library's overlay of the network's input instead of numbers. Answers are written as
compact JSON here, as TorchServe's own indentation would double the numbers' size.
"""

import base64
import io
import json
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.image import show_cam_on_image
from torchvision import transforms
from ts.torch_handler.image_classifier import ImageClassifier


class PytorchGradCamHandler(ImageClassifier):  # type: ignore[misc]
    """Predictions and explanations, request by request."""

    view = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])
    to_tensor = transforms.Compose(
        [
            transforms.ToTensor(),
            transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
        ]
    )

    def initialize(self, context: Any) -> None:
        """Loads the model, and finds the layer that ``model-config.yaml`` names."""
        super().initialize(context)
        name = context.model_yaml_config["handler"]["target_layer"]
        self.target_layers = [self.model.get_submodule(name)]

    def handle(self, data: list[dict[str, Any]], context: Any) -> list[bytes]:
        """Answers a batch with one forward pass for each of the two kinds of request."""
        pictures = [self.view(_open(row)) for row in data]
        batch = torch.stack([self.to_tensor(picture) for picture in pictures]).to(self.device)
        headers = [context.get_all_request_header(index) for index in range(len(data))]
        explaining = [row for row, header in enumerate(headers) if header.get("explain") == "True"]
        predicting = [row for row in range(len(data)) if row not in explaining]
        answers: dict[int, Any] = {}
        if predicting:
            logits = self.inference(batch[predicting])
            answers |= zip(predicting, self.postprocess(logits), strict=True)
        if explaining:
            with GradCAM(model=self.model, target_layers=self.target_layers) as cam:
                maps = cam(input_tensor=batch[explaining], targets=None)  # of the best classes
                predictions = self.postprocess(cam.outputs.detach())
            for row, prediction, heatmap in zip(explaining, predictions, maps, strict=True):
                answers[row] = {"predictions": prediction}
                if headers[row].get("X-Explain-Overlay") == "jpeg":
                    answers[row]["overlay"] = _overlay(pictures[row], heatmap)
                else:
                    answers[row]["heatmap"] = heatmap.tolist()
        for row in range(len(data)):
            context.set_response_content_type(row, "application/json")
        return [
            json.dumps(answers[row], separators=(",", ":")).encode() for row in range(len(data))
        ]


def _open(row: dict[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(row.get("data") or row.get("body") or b"")).convert("RGB")


def _overlay(picture: Image.Image, heatmap: NDArray[np.float32]) -> str:
    scaled = np.float32(np.asarray(picture)) / 255
    file = io.BytesIO()
    Image.fromarray(show_cam_on_image(scaled, heatmap, use_rgb=True)).save(file, "JPEG")
    return base64.b64encode(file.getvalue()).decode()
