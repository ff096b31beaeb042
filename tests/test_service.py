"""Batches: one forward pass, and each request gets what it gets alone."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from archive_dir import Served
from mixed_batch import STATUSES, assert_same, batch, network_of


def test_in_a_mixed_batch_each_request_gets_what_it_gets_alone(served: Served) -> None:
    answers = served.batch(*batch())
    assert [answer.status for answer in answers] == STATUSES
    for answer, request in zip(answers, batch(), strict=True):
        assert_same(answer, served.ask(request))


def test_every_refusal_in_a_batch_has_its_own_reason(served: Served) -> None:
    answers = served.batch(*batch())
    reasons = {
        1: "not a picture",
        3: "truncated or corrupt",
        5: "'target'",
        7: "instances[1]: the picture is not base64",
        9: "layer 'fc'",
        11: "the body is not JSON",
        13: "no picture",
    }
    for index, reason in reasons.items():
        assert reason in answers[index].refused(STATUSES[index])
    kinds = {index: answers[index].json()["type"] for index in reasons}
    assert set(kinds.values()) == {
        *("UnsupportedPicture", "BrokenPicture", "InvalidOption"),
        *("MalformedRequest", "UnusableLayer"),
    }


def test_the_order_of_a_batch_does_not_matter(served: Served) -> None:
    forwards, backwards = served.batch(*batch()), served.batch(*reversed(batch()))
    for answer, other in zip(forwards, reversed(backwards), strict=True):
        assert_same(answer, other)


def test_a_batch_of_nothing_but_errors_runs_no_network(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forward(_: torch.Tensor) -> torch.Tensor:
        raise AssertionError

    monkeypatch.setattr(network_of(served), "forward", forward)
    for answer, status in zip(served.batch(*batch()[1::2]), STATUSES[1::2], strict=True):
        assert answer.status == status


def sizes_of(
    served: Served, monkeypatch: pytest.MonkeyPatch, ask: Callable[[], object]
) -> list[int]:
    sizes: list[int] = []
    network = network_of(served)
    before = network.forward

    def forward(inputs: torch.Tensor) -> Any:
        sizes.append(len(inputs))
        return before(inputs)

    with monkeypatch.context() as patched:
        patched.setattr(network, "forward", forward)
        ask()
    return sizes


def test_a_mixed_batch_takes_one_forward_pass(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    # eight pictures: the KServe request has two
    assert sizes_of(served, monkeypatch, lambda: served.batch(*batch())) == [8]


def test_long_batches_are_cut_into_chunks(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    short = served.limited(max_rows=3)
    assert sizes_of(short, monkeypatch, lambda: short.batch(*batch())) == [3, 3, 2]
    for answer, other in zip(short.batch(*batch()), served.batch(*batch()), strict=True):
        assert_same(answer, other)
