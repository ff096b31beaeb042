"""The capacity model against formulas that are known, and cases that can be worked out by hand."""

import math

import numpy as np
import pytest
from scaling.arguments import tuned
from scaling.bulk_queue import BulkQueue, solve
from scaling.bulk_waits import waits
from scaling.capacity import forecast, highest_rate, replicas_needed
from scaling.poisson import erlang_below, erlang_c, poisson_masses
from scaling.replica import BatchTimes, Replica
from scaling.simulation import serve

SMALL = BatchTimes(0.004, 0.004)
SINGLE = Replica(BatchTimes(0, 0.1), batch_size=1, delay=0, queue_size=400)


@pytest.mark.parametrize("load", [0.2, 0.5, 0.9])
def test_one_worker_without_batches_is_the_queue_of_pollaczek_and_khinchine(load: float) -> None:
    found = forecast(SINGLE, load / 0.1)
    assert found.wait == pytest.approx(load * 0.1 / (2 * (1 - load)), rel=1e-4)
    assert found.busy == pytest.approx(load)
    assert found.latency == pytest.approx(found.wait + 0.1)


def test_a_lone_request_waits_the_whole_delay() -> None:
    found = forecast(Replica(SMALL, delay=0.02), 0.01)
    assert found.p50 == pytest.approx(0.02 + 0.008)
    assert found.mean_size == pytest.approx(1, abs=1e-3)


def test_what_is_beyond_the_limit_is_refused() -> None:
    replica = Replica(SMALL, delay=0.02)
    assert replica.limit == pytest.approx(8 / 0.036)
    found = forecast(replica, 2 * replica.limit)
    assert found.refused == pytest.approx(0.5, abs=1e-3)
    assert found.mean_size == pytest.approx(8)
    # who is accepted finds the queue nearly full: 100 before him, in batches of 8
    assert found.latency == pytest.approx(100 / replica.limit + 0.036, rel=0.1)


@pytest.mark.parametrize("rate", [20.0, 100.0, 200.0])
def test_as_many_requests_leave_a_cycle_as_come(rate: float) -> None:
    times = np.array([SMALL.of(size) for size in range(1, 9)])
    queue = BulkQueue(rate, times, 0.01, 200)
    cycle = solve(queue)
    assert cycle.sizes.sum() == pytest.approx(1)
    assert cycle.mean_size == pytest.approx(rate * cycle.seconds, rel=1e-4)
    assert waits(queue, cycle).weights.sum() == pytest.approx(cycle.mean_size, rel=1e-4)


def test_a_pair_of_places_by_hand() -> None:
    """Batches of up to 2 that take 1 s, a request a second, a queue of 2, no delay.

    When a batch is done 0, 1 or more wait, with probabilities e⁻¹, e⁻¹ and 1 - 2 e⁻¹ if nobody was
    left behind, which nobody ever is: two of a queue of two go on. So a batch is of 1 with 2 e⁻¹.
    """
    cycle = solve(BulkQueue(1.0, np.array([1.0, 1.0]), 0.0, 2))
    assert cycle.sizes == pytest.approx([2 / math.e, 1 - 2 / math.e])
    assert cycle.idle == pytest.approx(1 / math.e)
    assert cycle.seconds == pytest.approx(1 + 1 / math.e)


def test_several_workers_are_what_the_simulation_says_but_for_a_tenth() -> None:
    replica = Replica(SMALL, workers=2, delay=0.005, queue_size=400)
    rate = 0.8 * replica.limit
    arrivals = np.cumsum(np.random.default_rng(0).exponential(1 / rate, 40_000))
    served, _ = serve(replica, arrivals)
    found = forecast(replica, rate)
    assert found.latency == pytest.approx(float(served.latencies.mean()), rel=0.1)
    assert found.p99 == pytest.approx(served.quantile(0.99), rel=0.1)


def test_so_many_replicas_are_enough_and_one_less_is_not() -> None:
    replica = Replica(SMALL, delay=0.005)
    needed = replicas_needed(replica, 1000, 0.1)
    assert needed is not None
    assert forecast(replica, 1000 / needed).p99 <= 0.1
    assert forecast(replica, 1000 / (needed - 1)).p99 > 0.1


def test_no_number_is_enough_where_a_lone_request_takes_too_long() -> None:
    assert replicas_needed(Replica(SMALL, delay=0.02), 10, 0.027) is None
    assert highest_rate(Replica(SMALL, delay=0.02), 0.027) == 0


@pytest.mark.parametrize(("servers", "load", "share"), [(1, 0.3, 0.3), (2, 1, 1 / 3), (3, 3, 1)])
def test_erlang(servers: int, load: float, share: float) -> None:
    assert erlang_c(servers, load) == pytest.approx(share)


def test_arrivals_are_counted_as_poisson_did() -> None:
    assert poisson_masses(2, 4) == pytest.approx(np.array([1, 2, 2, 4 / 3]) * math.exp(-2))
    assert poisson_masses(2000, 4000).sum() == pytest.approx(1)
    assert poisson_masses(0, 3).tolist() == [1, 0, 0]


def test_the_first_arrival_within_a_time_comes_early() -> None:
    (median,) = erlang_below(1, rate=2.0, limit=1.0, points=1)
    half = (1 - math.exp(-2)) / 2
    assert median == pytest.approx(-math.log(1 - half) / 2, rel=1e-3)


def test_batch_times_are_fitted_to_measurements() -> None:
    exact = BatchTimes.fitted({1: 0.064, 8: 0.302})
    assert (exact.of(1), exact.of(8)) == pytest.approx((0.064, 0.302))
    fitted = BatchTimes.fitted({1: 0.11, 2: 0.19, 4: 0.42})  # about 10 ms and 100 ms each
    assert fitted.per_request == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize("measured", [{8: 0.3}, {1: 0.3, 8: 0.2}, {1: 0.01, 8: 0.2}])
def test_no_times_that_cannot_be(measured: dict[int, float]) -> None:
    with pytest.raises(ValueError, match="batch"):
        BatchTimes.fitted(measured)


def test_tune_gives_the_times() -> None:
    def entry(precision: str, workers: int, size: int, rate: float) -> dict[str, object]:
        setup = {"precision": precision, "workers": workers, "batch_size": size, "delay": 5}
        return {"setup": setup, "rate": rate}

    refused = {"setup": entry("fp32", 2, 16, 0.0)["setup"], "reason": "no memory"}
    document = [
        refused,
        entry("fp32", 2, 8, 350.0),
        entry("bf16", 2, 8, 447.0),
        entry("bf16", 2, 2, 326.0),
    ]
    assert tuned(document, 2) == pytest.approx({8: 16 / 447, 2: 4 / 326})
    with pytest.raises(ValueError, match="--workers"):
        tuned(document, 1)
