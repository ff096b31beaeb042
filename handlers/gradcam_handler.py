"""The door: the one module that knows TorchServe.

It turns a batch and its context into requests, and responses into bytes, headers and statuses; all
else is ``gradcam.service`` and what lies behind it. TorchServe wants exactly one class here.
"""

import hashlib
import importlib.util
import logging
import sys
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

# the archive's own engine, not one that happens to be installed beside TorchServe
sys.path.insert(0, str(Path(__file__).resolve().parent))

_PACKAGES = {
    "torch": "torch",
    "torchvision": "torchvision",
    "numpy": "numpy",
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "safetensors": "safetensors",
}
"""What served code imports beyond the standard library, and the package that each comes in."""

if _missing := [name for name in _PACKAGES if importlib.util.find_spec(name) is None]:
    _sentence = (
        f"gradcam: the module {', '.join(_missing)} is missing where TorchServe runs; install it "
        f"with: {sys.executable} -m pip install {' '.join(_PACKAGES[name] for name in _missing)}"
    )
    logger.error(_sentence)
    raise RuntimeError(_sentence)

import cv2
import torch

from gradcam import crew, heap, labels, networks, service
from gradcam.answer import document
from gradcam.errors import GradcamError, SettingsError
from gradcam.measures import MEASURES, samples_of
from gradcam.record import BatchRecord
from gradcam.request import wire
from gradcam.settings import read_settings

GIVE_BACK_AFTER = 100  # batches, of which getting memory anew costs one an eighth of its time


class GradCAMHandler:
    """Answers TorchServe's inference, explanation and description requests for one model."""

    def initialize(self, context: Any) -> None:
        """Loads the archive's model onto the serving device, and surveys its layers.

        Args:
            context: TorchServe's ``ts.context.Context``.

        Raises:
            SettingsError: The archive is set up wrongly; the same sentence is in the log.
        """
        self._answered = 0
        try:
            self._service = _load(context)
        except (GradcamError, SettingsError) as error:
            # one clear line: TorchServe adds its own traceback for what is raised here
            logger.error("gradcam: %s cannot be loaded: %s", context.model_name, error)  # noqa: TRY400
            raise SettingsError(str(error)) from None
        self._instruments = _declared(context.metrics)

    def handle(self, data: list[dict[str, Any]], context: Any) -> list[bytes]:
        """Answers a batch; every request has its own status, content type and body."""
        requests = [(row, context.get_all_request_header(index)) for index, row in enumerate(data)]
        responses, record = self._service.answer_recorded(requests)
        self._answered += 1
        if self._answered % GIVE_BACK_AFTER == 0:
            heap.give_back()
        for index, response in enumerate(responses):
            context.set_response_status(response.status, HTTPStatus(response.status).phrase, index)
            context.set_response_content_type(index, response.content_type)
            if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                asked_as, told = wire.request_id(requests[index][1]), response.body.decode()
                logger.error("gradcam: the request %a failed: %a", asked_as, told)
        if self._instruments:
            _count(record, str(context.model_name), self._instruments)
        return [response.body for response in responses]


def _load(context: Any) -> service.Service:
    folder = Path(context.system_properties["model_dir"])
    settings = read_settings(context.model_yaml_config)
    model = context.manifest["model"]
    weights = folder / str(model.get("serializedFile"))
    # torch would start a thread for each of the machine's cores, in every worker
    threads = settings.execution.threads or crew.share_of_cores(_workers(context.model_yaml_config))
    torch.set_num_threads(threads)
    heap.keep_freed_memory()
    cv2.setNumThreads(1)  # the pictures of a batch are drawn beside each other
    # TF32 keeps ten bits of a float32's mantissa, and maps would differ from exact ones by 1e-3
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    gpu = context.system_properties.get("gpu_id")
    device = torch.device(f"cuda:{gpu}" if gpu is not None and torch.cuda.is_available() else "cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)  # streams and graphs are the current device's
    network = networks.load_archived(settings, weights, device)
    explainer = service.make_explainer(network, settings)
    card = document.ModelCard(
        name=str(context.model_name),
        version=str(model.get("modelVersion", "1.0")),
        architecture=settings.architecture,
        weights_sha256=_sha256(weights),
    )
    classes = labels.load_class_names(folder / "index_to_name.json", settings.class_count)
    loaded = service.Service(explainer, settings, classes, card, threads)
    if settings.execution.warm_up:
        loaded.warm_up(int(context.system_properties.get("batch_size") or 1))
    logger.info(
        "gradcam: %s loaded on %s in %s with %d threads, %s with %d classes, target layer %s",
        card.name,
        device,
        settings.execution.precision,
        threads,
        settings.architecture,
        settings.num_classes,
        ", ".join(settings.layer) or explainer.layers.default,
    )
    return loaded


def _declared(cache: Any) -> dict[str, Any]:
    """TorchServe's own object for each of our metrics, by name, where its metrics.yaml has it.

    One that it does not have is left out, for TorchServe would write a line of its log for every
    sample of it, only to drop it then.

    Args:
        cache: ``context.metrics``, or ``None``.
    """
    known = {
        (kind.value, name): instrument
        for kind, instruments in getattr(cache, "cache", {}).items()
        for name, instrument in instruments.items()
    }
    found = {}
    for name, measure in MEASURES.items():
        instrument = known.get((measure.kind, name))
        wanted = ["model_name", *measure.labels]
        if instrument is not None and list(instrument.dimension_names) != wanted:
            logger.warning(
                "gradcam: %s is not counted, for the metrics file declares it with the dimensions "
                "%s instead of %s",
                name,
                ", ".join(instrument.dimension_names) or "none",
                ", ".join(wanted),
            )
        elif instrument is not None:
            found[name] = instrument
    return found


def _count(record: BatchRecord, model: str, instruments: Mapping[str, Any]) -> None:
    """Tells TorchServe what happened to a batch: a line on standard output for each sample."""
    for sample in samples_of(record):
        if sample.name in instruments:
            # not add_metric: that adds dimensions, and the ids of all requests, to every line
            instruments[sample.name].add_or_update(sample.value, [model, *sample.labels])


def _workers(config: object) -> int:
    """How many workers the archive asks for; where it leaves that to the server, one."""
    told = config if isinstance(config, Mapping) else {}
    wanted = [told.get(name) for name in ("minWorkers", "maxWorkers")]
    return max((one for one in wanted if isinstance(one, int) and one > 0), default=1)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
