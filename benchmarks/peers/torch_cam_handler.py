"""The handler that one writes around torch-cam: TorchServe's own, with maps.

Preprocessing, labels and probabilities are ``image_classifier``'s. The library is called as its
documents do: an extractor that is hooked up while a batch is explained, whose backward pass for the
best classes ends at the target layer. Parameters are not frozen, as in its examples.

A request is explained if it came to ``/explanations``, and answered with predictions and the
library's map, which has the target layer's resolution. The header ``X-Explain-Overlay: jpeg`` asks
for the library's overlay of the network's input instead of numbers.
"""

import base64
import io
import json
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torchcam.methods import GradCAM
from torchcam.utils import overlay_mask
from torchvision import transforms
from torchvision.transforms.functional import to_pil_image
from ts.torch_handler.image_classifier import ImageClassifier


class TorchCamHandler(ImageClassifier):  # type: ignore[misc]
    """Predictions and explanations, request by request."""

    view = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])
    to_tensor = transforms.Compose(
        [
            transforms.ToTensor(),
            transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
        ]
    )

    def initialize(self, context: Any) -> None:
        """Loads the model, and reads which layer ``model-config.yaml`` names."""
        super().initialize(context)
        self.target_layer = context.model_yaml_config["handler"]["target_layer"]

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
            with GradCAM(self.model, self.target_layer) as extractor:
                scores = self.model(batch[explaining])
                (maps,) = extractor(scores.argmax(dim=1).tolist(), scores)
            predictions = self.postprocess(scores.detach())
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


def _overlay(picture: Image.Image, heatmap: Tensor) -> str:
    file = io.BytesIO()
    overlay_mask(picture, to_pil_image(heatmap, mode="F"), alpha=0.5).save(file, "JPEG")
    return base64.b64encode(file.getvalue()).decode()
