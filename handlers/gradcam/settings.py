"""The handler's options: ``handler: gradcam:`` of an archive's ``model-config.yaml``, validated."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gradcam.engine.arranging import PRECISIONS
from gradcam.engine.probability import ACTIVATIONS, DEFAULT_ACTIVATION
from gradcam.errors import SettingsError
from gradcam.methods import DEFAULT_METHOD, METHODS
from gradcam.settings_values import (
    AUTO,
    choice,
    flag,
    flag_or_auto,
    keywords,
    names,
    output,
    section_of,
    size,
    text,
    three,
    whole,
    wrong,
)

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")
SOURCES = ("torchvision", "timm", "file", "exported")


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes the network's input, as torchvision's classification presets do it.

    Attributes:
        resize: The length of the shorter side after resizing, in pixels. Not used when squashing.
        crop_size: ``(height, width)`` of the centre crop that the network sees, in pixels.
        squash: Resize both sides to ``crop_size`` instead, changing the proportions.
        interpolation: One of :data:`INTERPOLATIONS`, as Pillow does it (antialiased).
        reduced_decoding: Whether a large JPEG is decoded at 1/2, 1/4 or 1/8 of its size, where that
            is no smaller than what it is resized to and the request asks for neither a crop nor an
            overlay. Faster, and by more than rounding different.
        mean: Per channel, of values in 0…1.
        std: Per channel, of values in 0…1.
    """

    resize: int = 256
    crop_size: tuple[int, int] = (224, 224)
    squash: bool = False
    interpolation: str = "bilinear"
    reduced_decoding: bool = False
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD


@dataclass(frozen=True)
class Limits:
    """What one request may cost.

    Attributes:
        max_bytes: Bytes of one encoded picture.
        max_pixels: Pixels of all pictures of one request together, before any resizing.
        max_instances: Pictures in one request.
        max_targets: Maps per picture.
        max_rows: Pictures in one forward pass.
        max_passes: Forward passes of one picture that one request may cause beyond the first one of
            each: noisy and mirrored copies, methods that perturb, scores. The default lets
            Score-CAM at ResNet-50's 2,048 channels through once.
        max_seconds: Into a batch: after that, only the first map of a request's first picture is
            computed still, and requests for more are refused. As long again into drawing: after
            that, answers with large pictures are refused. Both together well below TorchServe's
            ``responseTimeout``, beyond which the worker is killed together with its batch.
        max_drawn_pixels: Pixels of all pictures in one answer together, overlays and grey maps.
        max_answer_bytes: Bytes of one answer. TorchServe kills the worker beyond its own limit of
            6,553,500 (``max_response_size``), so raise both together.
    """

    max_bytes: int = 20_000_000
    max_pixels: int = 40_000_000
    max_instances: int = 16
    max_targets: int = 16
    max_rows: int = 16
    max_passes: int = 3000
    max_seconds: int = 45
    max_drawn_pixels: int = 32_000_000
    max_answer_bytes: int = 6_000_000


@dataclass(frozen=True)
class Execution:
    """How the serving device computes.

    Attributes:
        precision: One of :data:`gradcam.engine.arranging.PRECISIONS`: what the network computes in.
            Maps are made in float32 of what it gives.
        channels_last: Whether the network's tensors are laid out like that; ``None`` where the
            network can take it.
        compile: Whether ``torch.compile`` compiles the network at load, which takes a C++ compiler
            and a minute or two. Predictions and explanations at the default layer then run so.
        threads: Of one worker; 0 shares the cores that the container may use among the workers.
        warm_up: Whether a load ends with batches of the usual sizes, so that no client waits for
            what is made once for each size.
        cuda_graphs: Whether batches of usual questions replay a recorded graph on a CUDA device.
    """

    precision: str = "fp32"
    channels_last: bool | None = None
    compile: bool = False
    threads: int = 0
    warm_up: bool = True
    cuda_graphs: bool = True


@dataclass(frozen=True)
class Settings:
    """All of ``handler: gradcam:``.

    Attributes:
        architecture: A name that :mod:`gradcam.networks` can build, where the source is torchvision
            (our own networks included) or timm; elsewhere just what the network is called.
        num_classes: How many logits the network has.
        source: One of :data:`SOURCES`: where the network comes from. ``file`` is the user's own
            model file in the archive, ``exported`` a ``torch.export`` archive.
        architecture_options: Further keyword arguments of the architecture's constructor, such as
            ``transform_input: true`` for torchvision's own GoogLeNet and Inception weights.
        output: The name or place of the logits where the network gives a tuple, a dict or a
            dataclass; ``None`` finds them.
        activation: One of :data:`gradcam.engine.probability.ACTIVATIONS`: how logits become
            probabilities. With one logit ``sigmoid``, or ``none``.
        layer: The default target layer, or several that are fused; empty finds it.
        method: The default method.
        preprocessing: How a picture becomes the network's input.
        limits: What one request may cost.
        execution: How the serving device computes.
    """

    architecture: str
    num_classes: int
    source: str = SOURCES[0]
    architecture_options: Mapping[str, object] = field(default_factory=dict)
    output: str | int | None = None
    activation: str = DEFAULT_ACTIVATION
    layer: tuple[str, ...] = ()
    method: str = DEFAULT_METHOD
    preprocessing: Preprocessing = Preprocessing()
    limits: Limits = Limits()
    execution: Execution = Execution()

    @property
    def class_count(self) -> int:
        """How many classes have a name: one logit tells two of them apart.

        Class 0 is then the negative side, class 1 the positive one.
        """
        return 2 if self.num_classes == 1 else self.num_classes


def read_settings(config: object) -> Settings:
    """Validates the section ``handler: gradcam:``.

    Args:
        config: The parsed ``model-config.yaml``.

    Raises:
        SettingsError: One sentence that names the key, what it holds and what it takes.
    """
    where = "handler: gradcam"
    handler = config.get("handler") if isinstance(config, Mapping) else None
    section = handler.get("gradcam") if isinstance(handler, Mapping) else None
    values = section_of(section, where, Settings)
    for required in ("architecture", "num_classes"):
        if required not in values:
            raise SettingsError(f"model-config.yaml: {where}: {required} is missing")
    return Settings(
        architecture=text(values["architecture"], f"{where}: architecture"),
        num_classes=whole(values["num_classes"], f"{where}: num_classes", 1, 1_000_000),
        source=choice(values.get("source", SOURCES[0]), f"{where}: source", SOURCES),
        architecture_options=keywords(
            values.get("architecture_options", {}), f"{where}: architecture_options"
        ),
        output=output(values.get("output"), f"{where}: output"),
        activation=_activation(values, f"{where}: activation"),
        layer=names(values.get("layer"), f"{where}: layer"),
        method=choice(values.get("method", DEFAULT_METHOD), f"{where}: method", tuple(METHODS)),
        preprocessing=_preprocessing(values.get("preprocessing"), f"{where}: preprocessing"),
        limits=_limits(values.get("limits"), f"{where}: limits"),
        execution=_execution(values.get("execution"), f"{where}: execution"),
    )


def _activation(values: Mapping[str, Any], where: str) -> str:
    one_logit = values["num_classes"] == 1
    chosen = choice(
        values.get("activation", "sigmoid" if one_logit else DEFAULT_ACTIVATION),
        where,
        tuple(ACTIVATIONS),
    )
    if one_logit and chosen == "softmax":  # of a logit and its opposite it would be sigmoid(2z)
        raise wrong(where, chosen, "for a network of one logit; give sigmoid or none")
    return chosen


def _preprocessing(section: object, where: str) -> Preprocessing:
    values = section_of(section, where, Preprocessing) if section is not None else {}
    default = Preprocessing()
    return Preprocessing(
        resize=whole(values.get("resize", default.resize), f"{where}: resize", 1, 4096),
        crop_size=size(values.get("crop_size", default.crop_size), f"{where}: crop_size"),
        squash=flag(values.get("squash", default.squash), f"{where}: squash"),
        interpolation=choice(
            values.get("interpolation", default.interpolation),
            f"{where}: interpolation",
            INTERPOLATIONS,
        ),
        reduced_decoding=flag(
            values.get("reduced_decoding", default.reduced_decoding), f"{where}: reduced_decoding"
        ),
        mean=three(values.get("mean", default.mean), f"{where}: mean", positive=False),
        std=three(values.get("std", default.std), f"{where}: std", positive=True),
    )


def _execution(section: object, where: str) -> Execution:
    values = section_of(section, where, Execution) if section is not None else {}
    default = Execution()
    if values.get("compile") and not values.get("warm_up", True):
        raise wrong(f"{where}: warm_up", False, "for a network to be compiled, which happens then")
    return Execution(
        precision=choice(
            values.get("precision", default.precision), f"{where}: precision", tuple(PRECISIONS)
        ),
        channels_last=flag_or_auto(values.get("channels_last", AUTO), f"{where}: channels_last"),
        compile=flag(values.get("compile", default.compile), f"{where}: compile"),
        threads=whole(values.get("threads", default.threads), f"{where}: threads", 0, 1024),
        warm_up=flag(values.get("warm_up", default.warm_up), f"{where}: warm_up"),
        cuda_graphs=flag(values.get("cuda_graphs", default.cuda_graphs), f"{where}: cuda_graphs"),
    )


def _limits(section: object, where: str) -> Limits:
    values = section_of(section, where, Limits) if section is not None else {}
    highest = {"max_pixels": 178_000_000, "max_instances": 1024, "max_targets": 1024}
    return Limits(
        **{
            name: whole(value, f"{where}: {name}", 1, highest.get(name, 2**31 - 1))
            for name, value in values.items()
        }
    )
