"""How the device computes, as an archive's settings have it, through the handler."""

import logging
from typing import Any

import pytest
import skimage.data
import torch
from PIL import Image

import sending
from archive_dir import PREPROCESSING, Served, make_context, one_thread, serve, settings
from gradcam import Ask
from gradcam.crew import share_of_cores
from gradcam.service import Service
from gradcam_handler import GradCAMHandler
from pictures import cat_png, encode


def grid(answer: sending.Answer) -> torch.Tensor:
    (entry,) = answer.document()["explanations"]
    return torch.tensor(entry["heatmap"]["values"]).flatten().double()


def logits(answer: sending.Answer) -> torch.Tensor:
    document = answer.document()
    return torch.tensor([entry["logit"] for entry in document["predictions"]])


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_precision_is_a_setting_and_answers_are_nearly_the_same(
    served: Served, precision: str
) -> None:
    low = serve(served.folder, settings(execution={"precision": precision}))
    request = sending.form(image=cat_png(), target="3", top_k="12")
    exact, found = served.ask(request), low.ask(request)
    assert torch.nn.functional.cosine_similarity(grid(found), grid(exact), dim=0) > 0.99
    assert not grid(found).equal(grid(exact))
    spread = logits(exact).max() - logits(exact).min()
    assert (logits(found) - logits(exact)).abs().max() < 0.02 * spread


@pytest.mark.parametrize("channels_last", [True, False])
def test_the_layout_changes_no_more_than_rounding(served: Served, *, channels_last: bool) -> None:
    laid_out = serve(served.folder, settings(execution={"channels_last": channels_last}))
    request = sending.form(image=cat_png(), target="3")
    torch.testing.assert_close(
        grid(laid_out.ask(request)), grid(served.ask(request)), rtol=0, atol=1e-5
    )


def test_a_compiled_network_gives_the_same_answers_to_the_usual_question_and_to_others(
    served: Served,
) -> None:
    compiled = serve(served.folder, settings(execution={"compile": True}))
    for request in (
        sending.form(image=cat_png()),
        sending.form(image=cat_png(), target="top3"),
        sending.form(image=cat_png(), layer="layer2"),
        sending.form(image=cat_png(), method="layercam"),
    ):
        mine, plain = (one.ask(request).document() for one in (compiled, served))
        for found, expected in zip(mine["explanations"], plain["explanations"], strict=True):
            torch.testing.assert_close(
                torch.tensor(found["heatmap"]["values"]),
                torch.tensor(expected["heatmap"]["values"]),
                rtol=0,
                atol=1e-4,
            )
    prediction = sending.raw(cat_png(), explain=False)
    expected = served.ask(prediction).document()
    assert compiled.ask(prediction).document() == pytest.approx(expected, rel=1e-4)


def test_where_nothing_can_be_compiled_the_network_runs_as_it_is(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    torch.compiler.reset()
    monkeypatch.setenv("CXX", "/nonexistent")
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", ("/nonexistent",))
    monkeypatch.setattr("torch._inductor.config.force_disable_caches", True)
    with caplog.at_level(logging.WARNING):
        plain = serve(served.folder, settings(execution={"compile": True}))
    assert "the network is not compiled, for that failed" in caplog.text
    request = sending.raw(cat_png())
    assert (
        plain.ask(request).document()["explanations"]
        == (served.ask(request).document()["explanations"])
    )


def load(served: Served, config: dict[str, Any]) -> int:
    """Loads an archive, and tells with how many threads torch then computes."""
    with one_thread():
        GradCAMHandler().initialize(make_context(served.folder, config))
        return torch.get_num_threads()


def test_a_worker_takes_its_share_of_the_cores(served: Served) -> None:
    config = settings()
    assert load(served, config) == share_of_cores(1)
    assert load(served, {**config, "minWorkers": 2}) == share_of_cores(2)
    assert load(served, {**config, "maxWorkers": 64}) == 1


def test_threads_may_be_told(served: Served) -> None:
    assert load(served, {**settings(execution={"threads": 3}), "maxWorkers": 64}) == 3


@pytest.mark.parametrize("warm_up", [True, False])
def test_a_load_warms_up_for_the_sizes_of_a_batch_unless_it_is_told_not_to(
    served: Served, monkeypatch: pytest.MonkeyPatch, *, warm_up: bool
) -> None:
    sizes: list[int] = []
    run = Service.warm_up

    def note(self: Service, size: int) -> None:
        sizes.append(size)
        run(self, size)

    monkeypatch.setattr(Service, "warm_up", note)
    load(served, settings(execution={"warm_up": warm_up}))
    assert sizes == ([8] if warm_up else [])


def test_a_warm_up_that_fails_is_logged_and_serving_goes_on(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("too much")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr("gradcam.engine.explainer.Explainer.warm_up", fail)
        serving = serve(served.folder)
    assert "the warm-up failed; serving goes on" in caplog.text
    assert serving.ask(sending.raw(cat_png())).status == 200


def test_reduced_decoding_is_for_what_shows_nothing_of_the_picture(served: Served) -> None:
    reduced = serve(
        served.folder, settings(preprocessing={**PREPROCESSING, "reduced_decoding": True})
    )
    large = encode(Image.fromarray(skimage.data.astronaut()).resize((1600, 1200)), "JPEG")

    def both(request: sending.Request) -> tuple[sending.Answer, sending.Answer]:
        return reduced.ask(request), served.ask(request)

    found, exact = both(sending.form(image=large, target="3"))
    assert found.document()["image"] == exact.document()["image"]
    assert torch.nn.functional.cosine_similarity(grid(found), grid(exact), dim=0) > 0.98
    assert not grid(found).equal(grid(exact))
    for request in (
        sending.form(image=large, target="3", overlay="jpeg"),
        sending.form(image=large, target="3", crop="100,200,800,600"),
    ):
        found, exact = both(request)
        assert found.document()["explanations"] == exact.document()["explanations"]


def test_a_default_method_that_takes_many_passes_is_not_warmed_up(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(
        "gradcam.engine.explainer.Explainer.warm_up",
        lambda _self, _sizes, ask, **_: asked.append(ask),
    )
    for method in ("scorecam", "layercam"):
        serve(served.folder, settings(method=method))
    assert asked[0] is None
    assert isinstance(asked[1], Ask)
    assert asked[1].method == "layercam"
