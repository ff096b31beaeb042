"""Everything that is shown of a model, found out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from archived_model import ArchivedModel
from asking import COSTLY, ask_for, probabilities
from gradcam import Ask, GradcamError, Layer, LayerTable
from gradcam.geometry import View, plan_view
from gradcam.pictures.picture import Picture
from gradcam.pictures.preprocess import normalise, show
from inspection.prices import Price, measure_prices
from inspection.receptive_field import Field, receptive_fields
from progress import Progress


@dataclass(frozen=True)
class Cell:
    """One place of the contact sheet: a map, or why there is none.

    Attributes:
        grid: ``[h, w]``, 0…1.
        maximum: The raw map's greatest value.
        reason: Why there is none, else empty.
    """

    grid: Tensor | None
    maximum: float
    reason: str


@dataclass(frozen=True)
class Findings:
    """What a model's layers and methods give on one picture.

    Attributes:
        model: The model.
        picture: The picture.
        view: What of it the network sees.
        predictions: ``(label, probability)`` of the best classes.
        target: The index of the class that the maps explain.
        layers: All candidates.
        default: The default layer's name.
        why: Why it is the default.
        fields: Receptive fields by layer.
        forward: Milliseconds of a bare forward pass.
        layer_prices: Of the first method, by layer.
        method_prices: At the default layer, by method.
        cells: The contact sheet, by method and layer.
    """

    model: ArchivedModel
    picture: Picture
    view: View
    predictions: Sequence[tuple[str, float]]
    target: int
    layers: Sequence[Layer]
    default: str
    why: str
    fields: Mapping[str, Field]
    forward: float
    layer_prices: Mapping[str, Price]
    method_prices: Mapping[str, Price]
    cells: Mapping[tuple[str, str], Cell]


@dataclass(frozen=True)
class Wish:
    """What is to be shown.

    Attributes:
        methods: Down the sheet.
        layers: Across it.
        target: A class index; ``None`` for the picture's best.
        rounds: Of measuring prices.
        most_passes: The channels of a layer at which methods that cost a pass for each are tried.
    """

    methods: Sequence[str]
    layers: Sequence[str]
    target: int | None
    rounds: int
    most_passes: int


def find_out(model: ArchivedModel, picture: Picture, wish: Wish) -> Findings:
    """Runs everything on one picture.

    Raises:
        UnusableLayer: The network has no default layer and none is named.
    """
    explainer, settings = model.explainer, model.settings
    table = explainer.layers
    default = table.choose(model.named_layer).name
    view = plan_view(picture.frame, settings.preprocessing)
    shown = show(picture, view, settings.preprocessing.interpolation)
    batch = normalise([shown], settings.preprocessing, explainer.device)
    (outcome,) = explainer.run(batch, [None])
    if isinstance(outcome, GradcamError):
        raise outcome
    likely, order = probabilities(explainer, outcome.logits).sort(descending=True)
    target = int(order[0]) if wish.target is None else wish.target
    layers = [table.choose(name) for name in dict.fromkeys([*table.candidates, *wish.layers])]
    progress = Progress(1 + len(wish.methods) * len(wish.layers) + wish.rounds)
    fields = receptive_fields(explainer.network, layers, settings.preprocessing.crop_size)
    progress.step("receptive fields")
    cells = {}
    for method in wish.methods:
        for name in wish.layers:
            cells[method, name] = _cell(model, batch, target, method, table.choose(name), wish)
            progress.step(f"{method} at {name}")
    able = [method for method in wish.methods if _works(cells.get((method, default)))]
    asks = {f"layer {one.name}": ask_for([target], wish.methods[0], one.name) for one in layers}
    asks |= {f"method {method}": ask_for([target], method, default) for method in able}
    asks = {name: ask for name, ask in asks.items() if _possible(model, batch, ask)}
    forward, prices = measure_prices(explainer, batch, asks, wish.rounds, progress.step)
    return Findings(
        model,
        picture,
        view,
        [
            (model.classes[index].label, probability)
            for index, probability in zip(order[:5].tolist(), likely.tolist(), strict=False)
        ],
        target,
        layers,
        default,
        why_default(table, default, model.named_layer),
        fields,
        forward,
        {name.removeprefix("layer "): p for name, p in prices.items() if name[0] == "l"},
        {name.removeprefix("method "): p for name, p in prices.items() if name[0] == "m"},
        cells,
    )


def why_default(table: LayerTable, default: str, named: str | None) -> str:
    """Why this layer is the default, in a sentence."""
    if named is not None:
        return "the model's settings name it"
    if default not in table.candidates:
        return "no candidate holds the last stage's evidence; a residual leads around this layer"
    later = table.candidates[table.candidates.index(default) + 1 :]
    last = "the last candidate: what the logits know of the picture passes here"
    if not later:
        return last
    return f"{last}, and {', '.join(later)} after it only pool{'s' * (len(later) == 1)} it"


def _cell(
    model: ArchivedModel, batch: Tensor, target: int, method: str, layer: Layer, wish: Wish
) -> Cell:
    if method in COSTLY and layer.channels > wish.most_passes:
        return Cell(None, 0.0, f"{layer.channels} passes, beyond --most-passes")
    try:
        (outcome,) = model.explainer.run(batch, [ask_for([target], method, layer.name)])
    except (GradcamError, ValueError) as error:
        return Cell(None, 0.0, str(error))
    if isinstance(outcome, GradcamError):
        return Cell(None, 0.0, str(outcome))
    (raw,) = outcome.maps
    return Cell(raw.heatmap().to(torch.float32), raw.maximum, "")


def _works(cell: Cell | None) -> bool:
    return cell is not None and not cell.reason


def _possible(model: ArchivedModel, batch: Tensor, ask: Ask) -> bool:
    try:
        (outcome,) = model.explainer.run(batch, [ask])
    except (GradcamError, ValueError):
        return False
    return not isinstance(outcome, GradcamError)
