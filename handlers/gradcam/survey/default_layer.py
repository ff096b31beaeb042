"""Which of the layers that a map can be made at is the default."""

from collections.abc import Mapping, Sequence, Set

from torch import Tensor

from gradcam.survey.graph import is_pooled
from gradcam.survey.head import is_class_maps, is_silent, is_vector, measure_gradients
from gradcam.survey.layer_table import Layer
from gradcam.survey.survey_pass import SurveyPass

_REMEDY = "name a layer, or explain a network with a convolutional last stage"


def pick_candidates(
    bottlenecks: Sequence[str], modules: Mapping[str, Layer | str], seen: SurveyPass
) -> list[str]:
    """The bottlenecks at which a map can be made, without the stacks of class maps at the end."""
    candidates: list[str] = []
    classes, may_be_stack = seen.logits.shape[1], True
    for name in reversed(bottlenecks):
        found = modules[name]
        if not isinstance(found, Layer):
            continue
        if may_be_stack and found.channels == classes:
            may_be_stack = is_class_maps(seen.logits, seen.groups[name], found.layout)
            if may_be_stack:
                continue
        candidates.insert(0, name)
    return candidates


def pick_default(
    candidates: Sequence[str],
    modules: Mapping[str, Layer | str],
    seen: SurveyPass,
    *,
    cells_matter: bool,
) -> str | None:
    """The last candidate that is not pooled, or what the last attention reads.

    Args:
        candidates: From input to logits.
        modules: For every module its layer or the reason why it is none.
        seen: The forward pass.
        cells_matter: Whether the logits read cells, and not class tokens only, from every
            bottleneck that has any.
    """
    ends = [name for name in candidates if not is_pooled(seen.groups[name])]
    end = ends[-1] if ends else None
    if cells_matter and end is not None and seen.maps[end].skipped:
        (gradient,) = measure_gradients(seen.logits, [seen.groups[end]])
        # with a head of zeros nobody can tell; class tokens are there to be read
        cells_matter = not is_silent(gradient)
    return end if cells_matter else _last_read_by_attention(modules, seen) or end


def _last_read_by_attention(modules: Mapping[str, Layer | str], seen: SurveyPass) -> str | None:
    """What the last attention whose cells have a gradient reads its tokens from."""
    first: str | None = None
    for attention in seen.attentions:
        reader = seen.graph.rooted_at(attention)
        name = next(
            (
                name
                for name, output in reversed(list(seen.groups.items()))
                if isinstance(modules[name], Layer) and reader.is_bottleneck(output)
            ),
            None,
        )
        if name is None:
            continue
        (gradient,) = measure_gradients(seen.logits, [seen.groups[name]])
        if gradient is None or bool(seen.maps[name].to_maps(gradient).any()):
            return name
        first = first or name
    return first


def why_no_default(
    default: str | None,
    bottlenecks: Sequence[str],
    modules: Mapping[str, Layer | str],
    seen: SurveyPass,
    blind: Set[str],
) -> str:
    """The reason why the network has no default layer, and what to ask for; empty where it has one.

    Args:
        default: What :func:`pick_default` found.
        bottlenecks: The modules through which every path leads, with a map or without.
        modules: For every module its layer or the reason why it is none.
        seen: The forward pass.
        blind: The modules of which only class tokens are read.
    """
    usable = [name for name in seen.groups if isinstance(modules[name], Layer)]
    if usable and not any(seen.graph.is_used(seen.groups[name]) for name in usable):
        maps = [name for name in usable if not is_pooled(seen.groups[name])] or usable
        return (
            "the logits have no gradient at any layer that has a map (a quantised head has none, "
            "nor one that detaches its input); ask for method eigencam and a layer such as "
            f"{maps[-1]}"
        )
    if not seen.graph.reaches_input:
        return (
            f"the logits do not depend differentiably on the picture, so no map exists; {_REMEDY}"
        )
    if default is None:
        return f"no feature map with a height and a width lies on every path; {_REMEDY}"
    later = bottlenecks[bottlenecks.index(default) + 1 :] if default in bottlenecks else []
    puzzling = [
        name
        for name in later
        if isinstance(modules[name], str)
        and name not in blind | seen.inside
        and _is_larger(seen.groups[name], modules[default])
    ]
    gradients = measure_gradients(seen.logits, [seen.groups[name] for name in puzzling])
    for name, gradient in zip(puzzling, gradients, strict=True):
        if not is_vector(gradient):
            return (
                f"the network's last stage works on tokens whose grid is not known ({name}), not "
                f"on a feature map; {_REMEDY}"
            )
    return ""


def _is_larger(tensor: Tensor, layer: Layer | str) -> bool:
    """Whether the tensor could be tokens, and has an axis as long as the layer has cells."""
    cells = layer.height * layer.width if isinstance(layer, Layer) else 0
    return tensor.dim() == 3 and max(tensor.shape) >= cells
