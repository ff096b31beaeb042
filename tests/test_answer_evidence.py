"""Evidence, differences and the shared scale in answers, from outcomes made by hand."""

import base64
import json
from typing import Any

import numpy as np
import pytest
import torch

from archive_dir import NAMES, NUM_CLASSES, vocabulary
from gradcam import Outcome, RawMap
from gradcam.answer.document import ModelCard
from gradcam.answer.writer import Writer
from gradcam.geometry import Box, View
from gradcam.labels import parse_class_names
from gradcam.request.options import parse_options
from gradcam.request.subject import Subject
from gradcam.settings import Limits
from pictures import pixels_of, small_cat

CARD = ModelCard("zoo", "1.0", "by_hand", "0" * 64)
WRITER = Writer(CARD, parse_class_names(NAMES, NUM_CLASSES), Limits())
LOGITS = torch.linspace(-2, 3.5, NUM_CLASSES)
STRONG = torch.tensor([[8.0, 0.0, -4.0], [0.0, 0.0, 0.0]])
WEAK = torch.tensor([[0.0, 0.0, 0.0], [0.0, 1.0, 2.0]])


def raw(index: int, values: torch.Tensor, **more: Any) -> RawMap:
    return RawMap(index, ("layer3",), "gradcam", values, **more)


def subject(**sent: object) -> Subject:
    """The whole of a picture of 90×60 pixels, which the map covers."""
    view = View(Box(0, 0, 90, 60), (90, 60), Box(0, 0, 90, 60))
    return Subject(90, 60, view, np.array(small_cat()), parse_options(sent, vocabulary()))


def explained(*maps: RawMap, writer: Writer = WRITER, **sent: object) -> Any:
    response = writer.explanations([subject(**sent)], [Outcome(LOGITS, maps)], wrapped=False)
    assert response.status == 200
    return json.loads(response.body)["explanations"]


def test_every_explanation_carries_its_evidence() -> None:
    first, second = explained(raw(5, STRONG), raw(0, WEAK))
    assert first["evidence"] == {
        "max": 8.0,
        "positive_share": pytest.approx(2 / 3, rel=1e-6),
        "peak": [15, 15],
        "spread": pytest.approx(1 / 6, rel=1e-6),
        "low_evidence": None,
        # from 8 to 0 across 30 pixels and down 30: 0.15 is reached at 0.85 of both
        "box": [0, 0, 40.5, 40.5],
        "threshold": 0.15,
    }
    assert first["evidence"]["max"] == first["heatmap"]["max"]
    assert second["evidence"]["peak"] == [75, 45]


def test_evidence_does_not_hang_on_the_map_being_shown() -> None:
    (plain,) = explained(raw(5, STRONG), threshold=0.5)
    (bare,) = explained(raw(5, STRONG), threshold=0.5, heatmap="none")
    assert "heatmap" not in bare
    assert bare["evidence"] == plain["evidence"]
    assert bare["evidence"]["box"] == [0, 0, 30, 30]
    assert bare["evidence"]["threshold"] == 0.5


def test_low_evidence_and_a_saturated_logit_are_told() -> None:
    nothing, saturated = explained(
        raw(5, -STRONG.abs()), raw(4, torch.zeros(2, 3), silent=True), heatmap="none"
    )
    assert nothing["evidence"] == {
        "max": 0.0,
        "positive_share": 0.0,
        "peak": None,
        "spread": 0.0,
        "low_evidence": "nothing_positive",
        "box": None,
        "threshold": 0.15,
    }
    assert saturated["evidence"]["low_evidence"] == "saturated"


def test_each_map_has_its_own_scale_unless_they_share_one() -> None:
    own = explained(raw(5, STRONG), raw(0, WEAK))
    assert [np.max(entry["heatmap"]["values"]) for entry in own] == [1, 1]
    assert not any("scale" in entry or "shared_max" in entry for entry in own)
    shared = explained(raw(5, STRONG), raw(0, WEAK), scale="shared")
    assert [entry["heatmap"]["values"] for entry in shared] == [
        [[1, 0, 0], [0, 0, 0]],
        [[0, 0, 0], [0, 0.125, 0.25]],
    ]
    for entry, alone in zip(shared, own, strict=True):
        assert (entry["scale"], entry["shared_max"]) == ("shared", 8)
        assert entry["evidence"] == alone["evidence"]
        assert entry["heatmap"]["max"] == alone["heatmap"]["max"]


def test_the_shared_scale_is_in_every_picture_too() -> None:
    sent: dict[str, Any] = {
        "scale": "shared",
        "heatmap": "png",
        "overlay": "png",
        "alpha": 1,
        "colormap": "gray",
    }
    strong, weak = explained(raw(5, STRONG), raw(0, WEAK), **sent)
    brightest = [
        pixels_of(base64.b64decode(entry[kind]["data"])).max()
        for entry in (strong, weak)
        for kind in ("heatmap", "overlay")
    ]
    assert brightest == [255, 255, 64, 64]  # a quarter of 255
    outcome = Outcome(LOGITS, (raw(5, STRONG), raw(0, WEAK)))
    panels = pixels_of(WRITER.picture(subject(**sent), outcome, "png").body)
    assert [panels[:, :90].max(), panels[:, 90:].max()] == [255, 64]


def test_a_shared_scale_of_nothing_is_zero() -> None:
    entries = explained(raw(5, -STRONG.abs()), raw(0, -WEAK), scale="shared")
    assert [entry["shared_max"] for entry in entries] == [0, 0]
    assert all(np.max(entry["heatmap"]["values"]) == 0 for entry in entries)


def test_a_difference_is_told_with_both_classes() -> None:
    (entry,) = explained(raw(5, STRONG, versus=0))
    assert entry["logit"] == pytest.approx(0.5)
    assert entry["versus"]["logit"] == pytest.approx(-2)
    assert (entry["versus"]["index"], entry["versus"]["label"]) == (0, "tabby")
    assert entry["difference"] == pytest.approx(2.5)


def test_a_model_of_scores_has_null_for_probabilities() -> None:
    writer = Writer(CARD, WRITER.classes, Limits(), activation="none")
    (entry,) = explained(raw(5, STRONG, versus=0), writer=writer)
    assert (entry["probability"], entry["versus"]["probability"]) == (None, None)
    plain = writer.predictions([subject(top_k=1)], [Outcome(LOGITS)], wrapped=False)
    assert json.loads(plain.body) == {"11": 3.5}
