"""Networks from where a model can come from, each in evaluation mode and frozen.

    torchvision, demo_net   a name and a state dict     by_name.py
    timm                    a name and a state dict     by_name.py, timm_models.py
    the user's own file     one class, a state dict     own_file.py
    torch.export            an archive of all           exported.py, pt2_archive.py, pt2_program.py

``archived.py`` picks the one that an archive's settings name.
"""

from gradcam.networks.archived import MODEL_FILE, load_archived
from gradcam.networks.by_name import architectures, build_network, build_skeleton, load_network
from gradcam.networks.exported import load_exported
from gradcam.networks.own_file import load_own, read_class
from gradcam.networks.weights import freeze

__all__ = [
    "MODEL_FILE",
    "architectures",
    "build_network",
    "build_skeleton",
    "freeze",
    "load_archived",
    "load_exported",
    "load_network",
    "load_own",
    "read_class",
]
