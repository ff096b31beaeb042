"""After known traffic ``/metrics`` shows it exactly; without our metrics file nothing changes."""

import itertools
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import ts

from gradcam.measures import MEASURES
from live.client import Client
from live.comparing import differences
from live.conftest import worker_pid
from live.grpc_stubs import GrpcClient, generate_stubs
from live.panes import Doors, Sent, crowd, package_panes, traffic
from live.scraped import Scraped, scrape
from local_ports import HOST
from sending import Answer
from torchserve_process import TorchServe

pytestmark = pytest.mark.live

STOCK = Path(ts.__file__).parent / "configs" / "metrics.yaml"
# TorchServe's own line after each batch, once in its log
BATCH = re.compile(r"result=\[METRICS\]PredictionTime\.Milliseconds:[^|]*\|#ModelName:panes,")
SECONDS = ("gradcam_decode_seconds", "gradcam_compute_seconds", "gradcam_render_seconds")


@dataclass(frozen=True)
class Seen:
    """A server after the traffic.

    Attributes:
        alone: The answers to :func:`traffic`, one by one.
        together: Those to :func:`crowd`, sent at once.
        seconds: How long all that took.
        before: ``/metrics`` before it.
        after: ``/metrics`` afterwards.
        batches: How many batches it was, as TorchServe's own log has it.
        memory: Of the worker, in bytes, afterwards.
        log: All that the server has said.
    """

    alone: tuple[Answer, ...]
    together: tuple[Answer, ...]
    seconds: float
    before: Scraped
    after: Scraped
    batches: int
    memory: int
    log: str


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("panes_store")
    package_panes(folder, tmp_path_factory.mktemp("panes"))
    generate_stubs(tmp_path_factory.mktemp("stubs"))
    return folder


@pytest.fixture(scope="module")
def both(store: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Seen, Seen]:
    """The same traffic to a server with our metrics file, and to one with TorchServe's own."""
    configs: tuple[Mapping[str, str], ...] = ({}, {"metrics_config": str(STOCK)})
    servers = [
        TorchServe(
            store, {"panes": "panes.mar"}, log_dir=tmp_path_factory.mktemp("logs"), config=config
        )
        for config in configs
    ]
    with servers[0], servers[1]:
        for server in servers:
            server.wait_ready(timeout=300)
        first, second = map(observe, servers)
    return first, second


@pytest.fixture(scope="module")
def seen(both: tuple[Seen, Seen]) -> Seen:
    return both[0]


def observe(server: TorchServe) -> Seen:
    metrics = Client(server.metrics_url)
    grpc = GrpcClient(f"{HOST}:{server.ports.grpc_inference}")
    doors = Doors(Client(server.inference_url), grpc, Client(server.management_url))
    before, begun = scrape(metrics), time.monotonic()
    alone = tuple(one.send(doors) for one in traffic())
    barrier = threading.Barrier(len(crowd()))

    def send(one: Sent) -> Answer:
        barrier.wait(timeout=60)
        return one.send(doors)

    with ThreadPoolExecutor(len(crowd())) as pool:
        together = tuple(pool.map(send, crowd()))
    seconds = time.monotonic() - begun
    after = settled(metrics)
    log = server.log_text()
    memory = psutil.Process(worker_pid(server, "panes")).memory_info().rss
    return Seen(alone, together, seconds, before, after, len(BATCH.findall(log)), memory, log)


def settled(metrics: Client) -> Scraped:
    """``/metrics`` once it stays the same: a worker's lines take another way than its answers."""
    last, same = scrape(metrics), 0
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(0.5)
        now = scrape(metrics)
        same = same + 1 if _ours(now) == _ours(last) else 0
        if same == 6:
            return now
        last = now
    raise AssertionError("the metrics never settle")


def _ours(scraped: Scraped) -> dict[str, float]:
    return {
        f"{name}{sorted(labels)}": value
        for (name, labels), value in scraped.samples.items()
        if name.startswith(("gradcam_", "ts_"))
    }


def everything() -> list[Sent]:
    return [*traffic(), *crowd()]


def inference() -> list[Sent]:
    return [one for one in everything() if one.labels[0] != "describe"]


def counted(seen: Seen, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """A counter's values by those of its labels; all are the model's."""
    found = {}
    for key, value in seen.after.family(name).items():
        told = dict(key)
        assert told.pop("model_name") == "panes"
        assert set(told) == set(labels)
        found[tuple(told[label] for label in labels)] = value
    return found


def observed(seen: Seen, name: str) -> list[tuple[float, float]]:
    """A histogram's bounds with how many are at most that."""
    buckets = seen.after.family(f"{name}_bucket")
    return sorted((float(dict(labels)["le"]), value) for labels, value in buckets.items())


def total(seen: Seen, name: str, part: str) -> float:
    return seen.after.value(f"{name}_{part}", model_name="panes")


def test_the_traffic_was_answered_as_it_should_be(seen: Seen) -> None:
    sent = [*zip(traffic(), seen.alone, strict=True), *zip(crowd(), seen.together, strict=True)]
    for one, answer in sent:
        assert (answer.status == 200) == (one.error is None), (one.name, answer.body[:300])
        if one.error:
            assert answer.json()["type"] == one.error
    for one, answer in sent:
        if (
            one.error
            or one.labels[0] != "explanations"
            or answer.content_type != "application/json"
        ):
            continue
        document = answer.document()
        documents = [document] if "model" in document else document["explanations"]
        entries = itertools.chain.from_iterable(each["explanations"] for each in documents)
        low = [entry["evidence"]["low_evidence"] or "ok" for entry in entries]
        assert tuple(low) == one.evidence, one.name


def test_nothing_is_counted_before_it_happens(seen: Seen) -> None:
    assert [name for name, _ in seen.before.samples if name.startswith("gradcam_")] == []


def test_requests_are_counted_by_api_method_and_outcome(seen: Seen) -> None:
    found = counted(seen, "gradcam_requests_total", "api", "method", "outcome")
    assert found == Counter(one.labels for one in everything())


def test_refusals_are_counted_by_type(seen: Seen) -> None:
    found = counted(seen, "gradcam_refusals_total", "type")
    assert found == Counter((one.error,) for one in everything() if one.error)
    assert len(found) == 7


def test_maps_are_counted_by_their_evidence(seen: Seen) -> None:
    expected = Counter((kind,) for one in everything() for kind in one.evidence)
    assert counted(seen, "gradcam_maps_total", "evidence") == expected
    assert set(expected) == {("ok",), ("flat",), ("nothing_positive",), ("saturated",)}
    maps = {("explanations",): expected.total()}
    assert counted(seen, "gradcam_targets_total", "api") == maps


def assert_histogram(seen: Seen, name: str, values: Iterable[float]) -> None:
    listed = list(values)
    assert total(seen, name, "count") == len(listed)
    assert total(seen, name, "sum") == pytest.approx(sum(listed), rel=1e-5)
    bounds = observed(seen, name)
    assert len(bounds) > 5
    for bound, count in bounds:
        assert count == sum(value <= bound for value in listed), (name, bound)


def test_targets_per_request(seen: Seen) -> None:
    explained = [one for one in everything() if one.labels[::2] == ("explanations", "ok")]
    assert_histogram(seen, "gradcam_targets_per_request", (len(one.evidence) for one in explained))


def test_the_best_class_s_probability(seen: Seen) -> None:
    tops = [one.top for one in everything() if one.top is not None]
    assert_histogram(seen, "gradcam_top_probability", tops)


def test_batches_and_their_sizes(seen: Seen) -> None:
    described = sum(one.labels[0] == "describe" for one in everything())
    assert total(seen, "gradcam_batch_size", "count") == seen.batches - described
    assert total(seen, "gradcam_batch_size", "sum") == len(inference())
    alone = len(inference()) - len(crowd())
    at_most = dict(observed(seen, "gradcam_batch_size"))
    assert at_most[1.0] >= alone
    assert at_most[10.0] == seen.batches - described
    assert at_most[7.5] < at_most[10.0]  # a full batch of eight


def test_seconds_of_each_stage(seen: Seen) -> None:
    batches = total(seen, "gradcam_batch_size", "count")
    refused_alone = sum(not one.computed for one in traffic() if one.labels[0] != "describe")
    assert refused_alone == 9
    assert total(seen, SECONDS[0], "count") == batches
    for name in SECONDS[1:]:
        assert total(seen, name, "count") == batches - refused_alone
    sums = [total(seen, name, "sum") for name in SECONDS]
    assert all(one > 0 for one in sums)
    assert sum(sums) < seen.seconds
    # TorchServe's own clock around the handler
    whole = re.findall(r"result=\[METRICS\]PredictionTime\.Milliseconds:([0-9.e-]+)\|", seen.log)
    assert sum(sums) <= sum(map(float, whole)) / 1000
    assert sum(sums) >= 0.5 * sum(map(float, whole)) / 1000


def test_the_worker_s_memory(seen: Seen) -> None:
    ((labels, told),) = seen.after.family("gradcam_device_memory_bytes").items()
    assert labels == {("model_name", "panes"), ("device", "cpu")}
    assert told == pytest.approx(seen.memory, rel=0.1)


def test_every_metric_has_its_type(seen: Seen) -> None:
    declared = {name: measure.kind for name, measure in MEASURES.items()}
    for name, kind in declared.items():
        # some clients of Prometheus's tell a counter's type under its name without the ending
        told = seen.after.kinds.get(name) or seen.after.kinds.get(name.removesuffix("_total"))
        assert told == kind, name


@pytest.mark.parametrize("which", [0, 1], ids=["our metrics file", "TorchServe's own"])
def test_torchserve_s_own_counters_are_there(both: tuple[Seen, Seen], which: int) -> None:
    after = both[which].after
    own = {"model_name": "panes", "model_version": "default"}
    assert after.value("ts_inference_requests_total", **own) == len(inference())
    queued = after.value("ts_queue_latency_microseconds", **own)
    busy = after.value("ts_inference_latency_microseconds", **own)
    assert 0 < queued < busy
    for name in ("MemoryUsed", "CPUUtilization", "WorkerLoadTime", "QueueTime", "PredictionTime"):
        assert after.family(name), name


def test_without_our_metrics_file_the_answers_are_the_same(both: tuple[Seen, Seen]) -> None:
    with_file, without = both
    for one, answer, other in zip(traffic(), with_file.alone, without.alone, strict=True):
        heads = [(each.status, each.content_type) for each in (answer, other)]
        assert heads[0] == heads[1], one.name
        if one.labels[0] == "describe":  # ports and times of their own
            continue
        if answer.content_type == "application/json":
            assert differences(json.loads(answer.body), json.loads(other.body)) == [], one.name
        else:
            assert answer.body == other.body, one.name


def test_without_our_metrics_file_nothing_is_said_of_ours(both: tuple[Seen, Seen]) -> None:
    with_file, without = both
    assert "gradcam_batch_size" in with_file.log
    assert "gradcam_" not in without.log.replace("gradcam_handler", "")
    assert not [name for name, _ in without.after.samples if name.startswith("gradcam_")]


@pytest.mark.parametrize("which", [0, 1], ids=["our metrics file", "TorchServe's own"])
def test_the_log_is_free_of_trouble_with_metrics(both: tuple[Seen, Seen], which: int) -> None:
    log = both[which].log
    assert both[which].batches > len(traffic())
    told = re.findall(r".*(?:WARN|ERROR|Failed to|Overriding).*metric.*", log, re.IGNORECASE)
    # TorchServe says that once and more while a worker starts, whatever the metrics are
    assert [line for line in told if "worker pid is not available" not in line] == []


@pytest.fixture(scope="module", autouse=True)
def no_leftovers(store: Path) -> Iterator[None]:
    yield
    for archive in store.glob("*.mar"):
        archive.unlink()
