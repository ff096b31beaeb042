"""What the walk of a batch records, of requests whose fate is known."""

import json
import mmap
import time

import pytest
import torch

import sending
from archive_dir import Served, one_thread, serve, settings
from gradcam.answer.writer import Response
from gradcam.memory import used_bytes
from gradcam.record import BatchRecord, RequestRecord
from mixed_batch import STATUSES, batch, network_of
from pictures import cat_png, encode, small_cat
from sending import Request


def recorded(served: Served, *requests: Request) -> tuple[list[Response], BatchRecord]:
    rows, processors = sending.received(requests)
    headers = [processor.get_request_properties() for processor in processors]
    with one_thread():
        return served.handler._service.answer_recorded(list(zip(rows, headers, strict=True)))


def only(served: Served, request: Request) -> tuple[Response, RequestRecord]:
    (response,), record = recorded(served, request)
    (one,) = record.requests
    return response, one


def test_every_request_of_a_mixed_batch_is_recorded_in_its_place(served: Served) -> None:
    responses, record = recorded(served, *batch())
    assert [one.status for one in record.requests] == STATUSES
    found = [(one.api, one.method, one.told.error) for one in record.requests]
    cam, none = ("explanations", "gradcam", None), ("predictions", None, None)
    assert found == [
        cam,
        ("explanations", None, "UnsupportedPicture"),
        none,
        ("predictions", None, "BrokenPicture"),
        cam,
        ("explanations", None, "InvalidOption"),
        cam,
        ("explanations", None, "MalformedRequest"),
        cam,
        ("explanations", None, "UnusableLayer"),
        cam,
        ("predictions", None, "MalformedRequest"),
        cam,
        ("explanations", None, "MalformedRequest"),
    ]
    assert [len(one.told.low_evidence) for one in record.requests] == [
        *(1, 0, 0, 0, 3, 0, 2, 0, 1, 0, 1, 0, 1, 0)
    ]
    assert [response.status for response in responses] == STATUSES


def test_what_is_recorded_is_what_the_answers_say(served: Served) -> None:
    responses, record = recorded(served, *batch())
    held = 0
    for response, one in zip(responses, record.requests, strict=True):
        document = json.loads(response.body) if response.content_type == "application/json" else {}
        if one.told.error is not None:
            assert document["type"] == one.told.error
            assert one.told.top_probability is None
            continue
        if one.api == "predictions":
            assert one.told.top_probability == pytest.approx(max(document.values()), rel=1e-6)
            held += 1
        elif document:
            documents = document["explanations"] if "model" not in document else [document]
            best = [each["predictions"][0]["probability"] for each in documents]
            assert one.told.top_probability == pytest.approx(sum(best) / len(best), rel=1e-6)
            entries = [entry for each in documents for entry in each["explanations"]]
            low = [entry["evidence"]["low_evidence"] for entry in entries]
            assert list(one.told.low_evidence) == low
            held += 1
    assert held == 6


@pytest.mark.parametrize("target", ["top4", "3,7"])
@pytest.mark.parametrize("method", ["gradcam", "layercam"])
def test_a_picture_s_evidence_is_that_of_the_json(served: Served, method: str, target: str) -> None:
    flat = encode(small_cat().point(lambda _: 128))
    for picture in (cat_png(), flat):
        asked = {"image": picture, "target": target, "method": method}
        _, said = only(served, sending.form(True, {}, **asked))
        response, drawn = only(served, sending.form(True, {"Accept": "image/png"}, **asked))
        assert response.content_type == "image/png"
        assert drawn == said
        assert drawn.told.low_evidence


def test_low_evidence_is_recorded_where_the_head_sees_nothing(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = network_of(served).get_parameter("fc.weight")
    monkeypatch.setattr(head, "data", torch.zeros_like(head))
    for accept in ("application/json", "image/png"):
        _, one = only(served, sending.raw(cat_png(), Accept=accept, X_Explain_Target="top2"))
        assert one.told.low_evidence == ("saturated", "saturated")


def test_pictures_that_ask_for_different_methods_are_several(served: Served) -> None:
    def instance(method: str) -> dict[str, str]:
        return {"b64": sending.b64(cat_png()), "method": method}

    alike = sending.kserve(instance("layercam"), instance("layercam"))
    unlike = sending.kserve(instance("layercam"), instance("gradcam"))
    predicted = sending.kserve(instance("layercam"), instance("gradcam"), explain=False)
    _, record = recorded(served, alike, unlike, predicted)
    assert [one.method for one in record.requests] == ["layercam", "several", None]


def test_a_description_and_a_vague_request_have_an_api(served: Served) -> None:
    described = Request({"describe": "True"})
    vague = sending.grpc(data=cat_png(), explain="perhaps")
    _, record = recorded(served, described, vague)
    told = [(one.api, one.outcome, one.told.error) for one in record.requests]
    assert told == [("describe", "ok", None), ("predictions", "refused", "InvalidOption")]


def test_a_fault_of_ours_is_a_failure(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(_: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("a bug")

    monkeypatch.setattr(network_of(served), "forward", forward)
    _, one = only(served, sending.raw(cat_png()))
    assert (one.outcome, one.told.error, one.method) == ("failed", "EngineFault", "gradcam")


def test_an_answer_that_is_too_large_has_made_no_maps(served: Served) -> None:
    short = served.limited(max_answer_bytes=2000)
    asked = {"image": cat_png(), "overlay": "png", "heatmap": "none"}
    _, one = only(short, sending.form(True, {}, **asked))
    assert (one.outcome, one.told.error, one.method) == ("refused", "TooLarge", "gradcam")
    assert one.told.low_evidence == ()


def test_a_model_without_probabilities_has_no_top_probability(served: Served) -> None:
    scores = serve(served.folder, settings(activation="none"))
    picture = sending.raw(cat_png(), Accept="image/png")
    _, record = recorded(scores, sending.raw(cat_png()), sending.raw(cat_png(), False), picture)
    assert [one.told.top_probability for one in record.requests] == [None] * 3
    assert [one.outcome for one in record.requests] == ["ok"] * 3


def test_seconds_are_those_of_the_stages(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = network_of(served).forward

    def slow(inputs: torch.Tensor) -> torch.Tensor:
        time.sleep(0.2)
        return forward(inputs)  # type: ignore[no-any-return]

    monkeypatch.setattr(network_of(served), "forward", slow)
    begun = time.monotonic()
    _, record = recorded(served, sending.raw(cat_png()), sending.raw(b"hello"))
    whole = time.monotonic() - begun
    assert record.compute is not None
    assert record.render is not None
    assert record.compute >= 0.2
    assert record.decode > 0
    assert record.render > 0
    assert record.decode + record.compute + record.render <= whole


def test_a_batch_of_refusals_computes_and_renders_nothing(served: Served) -> None:
    _, record = recorded(served, sending.raw(b"hello"), sending.raw(b""))
    assert (record.compute, record.render) == (None, None)
    assert record.decode > 0


def test_memory_is_what_the_process_holds() -> None:
    before = used_bytes(torch.device("cpu"))
    with mmap.mmap(-1, 64 << 20) as fresh:  # what torch would be given may have been freed before
        fresh.write(bytes([1]) * (64 << 20))
        after = used_bytes(torch.device("cpu"))
    assert before is not None
    assert after is not None
    assert 60 << 20 <= after - before <= 140 << 20  # what was written was in memory twice


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_memory_on_a_gpu_is_what_tensors_take() -> None:
    device = torch.device("cuda:0")
    before = used_bytes(device)
    held = torch.ones(64 << 20, dtype=torch.uint8, device=device)
    after = used_bytes(device)
    assert before is not None
    assert after is not None
    assert after - before == 64 << 20
    del held


def test_the_record_names_the_device_and_its_memory(served: Served) -> None:
    _, record = recorded(served, sending.raw(cat_png()))
    assert record.device == "cpu"
    assert record.memory is not None
    assert record.memory > 50 << 20  # torch alone is more
