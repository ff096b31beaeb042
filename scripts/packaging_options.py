"""What an archive is to hold.

Standard library only, so that ``--help`` and an archive that is up to date cost no start-up time.
"""

from dataclasses import dataclass, fields
from pathlib import Path

from repository import ROOT

DEMO_ARCHITECTURE = "demo_net"
DEMO_FOLDER = ROOT / "models" / "demo"

SOURCE_OPTIONS = {
    "arch": ("--arch", "torchvision"),
    "timm": ("--timm", "timm"),
    "model_file": ("--model-file", "file"),
    "exported": ("--exported", "exported"),
}
"""The options that say which model, of which one is given: flag, and source in the settings."""


FLAGS = {"limits": "--limit", "execution": "--execution", "arch_options": "--arch-option"}
"""The flags of the options that may be repeated; the others are called as their fields."""


class PackagingError(Exception):
    """The archive cannot be made; the message is one sentence that says what to do."""


@dataclass(frozen=True)
class PackagingOptions:
    """One archive to make; ``None`` leaves the choice to the model.

    Exactly one of ``arch``, ``timm``, ``model_file`` and ``exported`` is given.

    Attributes:
        arch: The name of one of torchvision's architectures, or of our own.
        weights: The name of published weights, a local file, or ``none``.
        seed: For random weights.
        num_classes: How many logits.
        class_names: A JSON or text file.
        layer: The default target layer, or several, separated by commas.
        method: The default method.
        resize: The shorter side after resizing, in pixels.
        crop_size: ``N`` or ``HxW``, in pixels.
        squash: Resize both sides to the crop size.
        interpolation: How pictures are resized.
        mean: Three numbers, separated by commas, for values in 0…1.
        std: Likewise.
        activation: How logits become probabilities.
        output: The name or place of the logits among what the network gives.
        reduced_decoding: Decode large JPEGs at a fraction of their size.
        limits: ``KEY=VALUE`` each.
        execution: ``KEY=VALUE`` each: how the serving device computes.
        arch_options: ``KEY=VALUE`` each, for the architecture's constructor.
        timm: The name of one of timm's architectures.
        model_file: The user's own model file.
        exported: A ``torch.export`` archive.
        model_name: The name that the model is served under.
        version: The version that it is served under.
        batch_size: Requests that one batch holds at most.
        max_batch_delay: Milliseconds that a batch waits for more requests.
        workers: Processes that serve the model.
        queue_size: Requests that may wait for the model; TorchServe's own setting by default.
        export_path: The folder for the archive.
    """

    arch: str | None = None
    weights: str | None = None
    seed: int | None = None
    num_classes: int | None = None
    class_names: str | None = None
    layer: str | None = None
    method: str | None = None
    resize: int | None = None
    crop_size: str | None = None
    squash: bool = False
    interpolation: str | None = None
    mean: str | None = None
    std: str | None = None
    activation: str | None = None
    output: str | None = None
    reduced_decoding: bool = False
    limits: tuple[str, ...] = ()
    execution: tuple[str, ...] = ()
    arch_options: tuple[str, ...] = ()
    model_name: str | None = None
    version: str = "1.0"
    batch_size: int = 8
    max_batch_delay: int = 5
    workers: int = 1
    queue_size: int | None = None
    export_path: Path = ROOT / "model_store"
    timm: str | None = None
    model_file: str | None = None
    exported: str | None = None

    @property
    def source(self) -> str:
        """Where the network comes from, as ``handler: gradcam: source:`` says it."""
        given = [SOURCE_OPTIONS[name][1] for name in SOURCE_OPTIONS if getattr(self, name)]
        return given[0] if given else ""

    @property
    def given(self) -> str:
        """The name or the file that was given for the source."""
        return self.arch or self.timm or self.model_file or self.exported or ""

    @property
    def name(self) -> str:
        """The name that the model is served under."""
        if self.arch == DEMO_ARCHITECTURE:
            return self.model_name or "demo"
        return self.model_name or self.arch or self.timm or Path(self.given).stem

    @property
    def archive(self) -> Path:
        """Where the archive goes."""
        return self.export_path / f"{self.name}.mar"

    def as_arguments(self) -> list[str]:
        """The command line that gives these options."""
        arguments = []
        for field in fields(self):
            value = getattr(self, field.name)
            flag = FLAGS.get(field.name, f"--{field.name.replace('_', '-')}")
            if value is True:
                arguments.append(flag)
            elif isinstance(value, tuple):
                arguments += [f"{flag}={item}" for item in value]
            elif value not in (None, False):
                arguments.append(f"{flag}={value}")
        return arguments
