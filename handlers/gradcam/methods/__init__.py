"""The CAM methods: one pure function per paper, and the registry that everything else reads."""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor

from gradcam.methods.elementwise import gradcam_elementwise, hirescam, layercam
from gradcam.methods.principal import eigencam, eigengradcam
from gradcam.methods.weighted import cam, gradcam, gradcam_plus_plus, xgradcam


class Needs(enum.Enum):
    """What a method needs besides the target layer's activations; the values are for documents."""

    GRADIENTS = "gradients at the layer"
    ACTIVATIONS = "nothing more"
    LINEAR_HEAD = "a head of mean pooling and one linear layer"
    HEAD_PASSES = "forward passes of the head"
    INPUT_PASSES = "forward passes of the network"


@dataclass(frozen=True)
class Method:
    """One CAM method.

    Attributes:
        summary: One line for documents and the model's description.
        paper: Authors, title, venue and year.
        needs: What it needs.
        compute: ``(activations, gradients) -> raw map``. Both arguments are ``[N, C, H, W]``,
            float32 or float64, of one picture and one target per row: the target layer's
            activations and the derivative of that row's logit with respect to them. The result is
            ``[N, H, W]`` in their dtype, signed: the method's map *before* its final ReLU, so that
            the evidence against a class is not lost. ``None`` for the methods that perturb, which
            :mod:`gradcam.engine.perturbation` runs.
    """

    summary: str
    paper: str
    needs: Needs
    compute: Callable[[Tensor, Tensor], Tensor] | None


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "gradcam": Method(
            "channels weighted with their mean gradients",
            "Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via "
            "Gradient-based Localization, ICCV 2017",
            Needs.GRADIENTS,
            gradcam,
        ),
        "hirescam": Method(
            "gradient times activation, cell by cell",
            "Draelos and Carin, Use HiResCAM instead of Grad-CAM for faithful explanations of "
            "convolutional neural networks, arXiv:2011.08891, 2020",
            Needs.GRADIENTS,
            hirescam,
        ),
        "gradcam_elementwise": Method(
            "gradient times activation where that is positive, cell by cell",
            "Gildenblat and contributors, PyTorch library for CAM methods (pytorch-grad-cam), "
            "2021; no paper",
            Needs.GRADIENTS,
            gradcam_elementwise,
        ),
        "gradcam++": Method(
            "channels weighted with their positive gradients, which count by how few there are",
            "Chattopadhay et al., Grad-CAM++: Generalized Gradient-based Visual Explanations for "
            "Deep Convolutional Networks, WACV 2018",
            Needs.GRADIENTS,
            gradcam_plus_plus,
        ),
        "xgradcam": Method(
            "channels weighted with the mean of their gradients that their activations weight",
            "Fu et al., Axiom-based Grad-CAM: Towards Accurate Visualization and Explanation of "
            "CNNs, BMVC 2020",
            Needs.GRADIENTS,
            xgradcam,
        ),
        "layercam": Method(
            "activations weighted with their own positive gradients; for early layers too",
            "Jiang et al., LayerCAM: Exploring Hierarchical Class Activation Maps for "
            "Localization, IEEE Transactions on Image Processing 30, 2021",
            Needs.GRADIENTS,
            layercam,
        ),
        "eigencam": Method(
            "the first principal component of the activations; the same for every class",
            "Muhammad and Yeasin, Eigen-CAM: Class Activation Map using Principal Components, "
            "IJCNN 2020",
            Needs.ACTIVATIONS,
            eigencam,
        ),
        "eigengradcam": Method(
            "the first principal component of gradient times activation",
            "Gildenblat and contributors, PyTorch library for CAM methods (pytorch-grad-cam), "
            "2021; no paper",
            Needs.GRADIENTS,
            eigengradcam,
        ),
        "cam": Method(
            "channels weighted with the last layer's weights for the class",
            "Zhou et al., Learning Deep Features for Discriminative Localization, CVPR 2016",
            Needs.LINEAR_HEAD,
            cam,
        ),
        "scorecam": Method(
            "channels weighted with the logit of the picture seen through each of them",
            "Wang et al., Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural "
            "Networks, CVPR Workshops 2020",
            Needs.INPUT_PASSES,
            None,
        ),
        "ablationcam": Method(
            "channels weighted with the share of the logit that is lost without each of them",
            "Desai and Ramaswamy, Ablation-CAM: Visual Explanations for Deep Convolutional "
            "Network via Gradient-free Localization, WACV 2020",
            Needs.HEAD_PASSES,
            None,
        ),
    }
)
"""Every method by the name that the API, the settings and the documents use."""

DEFAULT_METHOD = "gradcam"
