"""A packaged model within this process: what TorchServe would serve, for scripts to look at."""

import json
import tempfile
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

import model_packaging
from gradcam import Explainer
from gradcam.errors import SettingsError
from gradcam.labels import ClassList, load_class_names
from gradcam.networks import load_archived
from gradcam.service import make_explainer
from gradcam.settings import Settings, read_settings
from model_options import ModelSource


@dataclass(frozen=True)
class ArchivedModel:
    """A model with all that its archive says of it.

    Attributes:
        name: What it is served as.
        explainer: Its network, surveyed at its input size.
        settings: The handler's.
        classes: Their names.
    """

    name: str
    explainer: Explainer
    settings: Settings
    classes: ClassList

    @property
    def named_layer(self) -> str | None:
        """The default layer that the settings name, if they do; of several the last."""
        return self.settings.layer[-1] if self.settings.layer else None


def open_model(source: ModelSource) -> ArchivedModel:
    """Opens an archive, or makes one in a scratch folder and opens that.

    Raises:
        PackagingError: It cannot be made.
        SettingsError: It is not one of our archives.
        GradcamError: The network cannot be explained.
    """
    if isinstance(source, Path):
        return open_archive(source)
    with tempfile.TemporaryDirectory(prefix="model-") as folder:
        options = replace(source, export_path=Path(folder))
        model_packaging.package(options)
        return open_archive(options.archive)


def open_archive(path: Path) -> ArchivedModel:
    """Loads an archive's network with this repository's engine, not with the archive's own copy.

    Raises:
        SettingsError: It is not one of our archives.
        GradcamError: The network cannot be explained.
    """
    with tempfile.TemporaryDirectory(prefix="archive-") as scratch:
        folder = Path(scratch)
        try:
            with zipfile.ZipFile(path) as archive:
                archive.extractall(folder)
            manifest = _read_json(folder / "MAR-INF" / "MANIFEST.json")
            model = manifest["model"]
            config = (folder / str(model["configFile"])).read_text(encoding="utf-8")
            settings = read_settings(yaml.safe_load(config))
            weights = folder / str(model["serializedFile"])
        except (OSError, zipfile.BadZipFile, KeyError) as error:
            raise SettingsError(
                f"{path} is not an archive that package_model.py made: {error}"
            ) from error
        network = load_archived(settings, weights)
        classes = load_class_names(folder / "index_to_name.json", settings.class_count)
    explainer = make_explainer(network, settings)
    return ArchivedModel(str(model["modelName"]), explainer, settings, classes)


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
