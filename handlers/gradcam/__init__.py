"""Grad-CAM for image classifiers: exact, many pictures at once, one map for about one forward pass.

>>> import torch, torchvision
>>> from gradcam import Ask, Explainer, Top, freeze
>>> network = freeze(torchvision.models.resnet18(weights=None).eval())
>>> explainer = Explainer(network, input_size=(224, 224))
>>> explainer.layers.default
'layer4'
>>> outcome, = explainer.run(torch.zeros(1, 3, 224, 224), [Ask(targets=(Top(1), 386))])
>>> [tuple(raw.values.shape) for raw in outcome.maps]
[(7, 7), (7, 7)]
"""

from gradcam.engine.explainer import Explainer
from gradcam.engine.explanation import Ask, Faithfulness, Outcome, RawMap
from gradcam.engine.targets import Difference, Target, Top
from gradcam.errors import EngineFault, GradcamError, UnusableLayer
from gradcam.methods import METHODS
from gradcam.networks import freeze
from gradcam.survey.layers import Layer, LayerTable
from gradcam.version import __version__

__all__ = [
    "METHODS",
    "Ask",
    "Difference",
    "EngineFault",
    "Explainer",
    "Faithfulness",
    "GradcamError",
    "Layer",
    "LayerTable",
    "Outcome",
    "RawMap",
    "Target",
    "Top",
    "UnusableLayer",
    "__version__",
    "freeze",
]
