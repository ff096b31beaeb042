"""Many clients at once: each gets the answer that it gets alone, and nobody harms another."""

import itertools
import json
import random
import re
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from live.archives import ZOO_BATCH
from live.client import Client
from live.conftest import worker_pid
from live.exact import Exact, served_map
from live.grpc_stubs import GrpcClient
from live.mixture import DEFAULT_LAYER, Case, Clients, cases, same
from sending import Answer
from torchserve_process import TorchServe

pytestmark = pytest.mark.live

# TorchServe's own line after each batch ends with the ids of the requests in it
_BATCH = re.compile(
    r"PredictionTime\.Milliseconds:[^|]*\|#ModelName:zoo,.*,\d{10},([0-9a-f,-]+), pat"
)


def _batch_sizes(log: str) -> list[int]:
    return [len(found[1].split(",")) for found in _BATCH.finditer(log)]


@pytest.fixture(scope="module")
def clients(client: Client, grpc_client: GrpcClient) -> Clients:
    return Clients(client, grpc_client)


@pytest.fixture(scope="module")
def alone(clients: Clients) -> list[tuple[Case, Answer]]:
    """Every request with its answer when nothing else is sent."""
    return [(case, case.send(clients)) for case in cases()]


def test_alone_each_is_answered_as_it_should_be(alone: list[tuple[Case, Answer]]) -> None:
    assert len(alone) == 64
    for case, answer in alone:
        assert answer.status == case.status, case.name
        if case.part:
            assert case.part in answer.refused(case.status)
    good = [answer for case, answer in alone if case.status == 200]
    for one, other in itertools.combinations(good, 2):
        assert same(one, other) != []  # so that no client could get another's unnoticed


def test_alone_every_map_is_that_of_full_autograd(
    alone: list[tuple[Case, Answer]], zoo: Exact
) -> None:
    held = 0
    for case, answer in alone:
        document = json.loads(answer.body) if case.asked else {}
        documents = [document] if "model" in document else document.get("explanations", [])
        for asked, one in zip(case.asked, documents, strict=True):
            best = zoo.logits(asked.picture).argsort(descending=True).tolist()
            indices = best if asked.target == "top4" else [int(asked.target)]
            assert [entry["index"] for entry in one["explanations"]] == indices
            for entry in one["explanations"]:
                exact = zoo.raw_map(asked.picture, asked.layer, entry["index"])
                difference = (served_map(entry) - exact.relu()).abs().max()
                # above a ReLU, float32 itself is off where rounding takes a value across zero
                share = 1e-4 if asked.layer == DEFAULT_LAYER else 1e-2
                assert difference <= share * exact.abs().max(), case.name
                held += 1
    assert held == 8 * (1 + 4 + 1) + 4 * 2  # a layer's, a crop's four, gRPC's; KServe's pairs


def test_sixty_four_at_once_are_each_answered_as_alone(
    server: TorchServe, clients: Clients, alone: list[tuple[Case, Answer]]
) -> None:
    pid, log_before = worker_pid(server, "zoo"), len(server.log_text())
    shuffled = random.Random(7).sample(alone, len(alone))
    together = threading.Barrier(len(shuffled))

    def send(case: Case) -> Answer:
        together.wait(timeout=60)
        return case.send(clients)

    with ThreadPoolExecutor(len(shuffled)) as pool:
        found = list(pool.map(send, [case for case, _ in shuffled]))
    wrong = {
        f"{number} {case.name}": same(answer, expected)
        for number, ((case, expected), answer) in enumerate(zip(shuffled, found, strict=True))
        if same(answer, expected)
    }
    assert wrong == {}
    assert Counter(answer.status for answer in found) == {200: 48, 400: 8, 422: 8}
    assert worker_pid(server, "zoo") == pid
    sizes = _batch_sizes(server.log_text()[log_before:])
    assert sum(sizes) == 64
    assert max(sizes) == ZOO_BATCH  # or they would not have shared batches
