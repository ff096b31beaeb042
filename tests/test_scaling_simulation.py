"""The simulation against queues whose waits are known, and against the clock by hand."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scaling.replica import BatchTimes, Replica
from scaling.simulation import Served, serve

ALONE = Replica(BatchTimes(0, 0.1), batch_size=1, delay=0, queue_size=10_000)
PAIRS = Replica(BatchTimes(1.0, 1.0), batch_size=2, delay=0.5, queue_size=3)


def at_random(rate: float, count: int, seed: int = 3) -> NDArray[np.float64]:
    return np.cumsum(np.random.default_rng(seed).exponential(1 / rate, count))


def times(served: Served) -> list[float]:
    answered: list[float] = (served.arrived + served.latencies).tolist()
    return answered


def test_random_services_wait_as_erlang_says() -> None:
    """M/M/1 at 70 %: the mean wait is ρS/(1-ρ), and the time in the system is exponential."""
    served, _ = serve(ALONE, at_random(7, 200_000), spread=1.0)
    assert served.waits.mean() == pytest.approx(0.7 * 0.1 / 0.3, rel=0.05)
    assert served.quantile(0.99) == pytest.approx(math.log(100) / 3, rel=0.06)


def test_constant_services_wait_half_of_that() -> None:
    """M/D/1 (Pollaczek and Khinchine)."""
    served, _ = serve(ALONE, at_random(7, 200_000))
    assert served.waits.mean() == pytest.approx(0.7 * 0.1 / 0.3 / 2, rel=0.05)


def test_two_workers_share_a_queue() -> None:
    """M/M/2 at 70 %: C = 2ρ²/(1+ρ), and the wait is C S / (2 (1-ρ))."""
    pair = Replica(ALONE.times, workers=2, batch_size=1, delay=0, queue_size=10_000)
    served, _ = serve(pair, at_random(14, 200_000), spread=1.0)
    found_busy = 2 * 0.7**2 / 1.7
    assert served.waits.mean() == pytest.approx(found_busy * 0.1 / (2 * 0.3), rel=0.05)


def test_a_batch_waits_for_its_delay_or_until_it_is_full() -> None:
    """A batch of one takes 2 s, of two 3 s, and gathers for half a second."""
    served, (pod,) = serve(PAIRS, np.array([0.0, 10.0, 10.25, 20.0, 20.1, 20.2]))
    assert served.waits.tolist() == pytest.approx([0.5, 0.25, 0.0, 0.1, 0.0, 3.4])
    # the last is alone when the worker is free again at 23.1, gathers until 23.6, and takes 2 s
    assert times(served) == pytest.approx([2.5, 13.25, 13.25, 23.1, 23.1, 25.6])
    assert (pod.batches, pod.answered) == (4, 6)


def test_another_worker_gathers_while_the_first_works() -> None:
    two = Replica(PAIRS.times, workers=2, batch_size=2, delay=0.5, queue_size=3)
    served, _ = serve(two, np.array([0.0, 0.1, 0.2, 0.3, 0.4]))
    # 0.1-3.1 and 0.3-3.3; the fifth gathers from 3.1 to 3.6
    assert times(served) == pytest.approx([3.1, 3.1, 3.3, 3.3, 5.6])


def test_only_one_worker_gathers_at_a_time() -> None:
    two = Replica(BatchTimes(1.0, 1.0), workers=2, batch_size=8, delay=0.5, queue_size=8)
    served, (pod,) = serve(two, np.array([0.0, 0.1, 0.2]))
    assert pod.batches == 1
    assert times(served) == pytest.approx([4.5] * 3)


def test_a_full_queue_refuses() -> None:
    """One pair is at work from 0, three wait, the sixth finds no place; at 3 s there is one."""
    served, _ = serve(PAIRS, np.array([0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 3.5]))
    assert np.isnan(served.latencies).tolist() == [False] * 5 + [True, False]
    assert served.refused == 1


@pytest.mark.parametrize("balancing", ["random", "turns", "least"])
def test_nothing_is_lost_and_the_counters_say_so(balancing: str) -> None:
    replica = Replica(BatchTimes(0.004, 0.004), workers=2, delay=0.005, queue_size=20)
    arrivals = at_random(1.5 * 3 * replica.limit, 30_000)  # far too many
    served, pods = serve(replica, arrivals, replicas=3, balancing=balancing, spread=0.3)
    answered = ~np.isnan(served.latencies)
    assert 0.2 < served.refused / len(arrivals) < 0.5
    assert sum(pod.answered for pod in pods) == answered.sum() == len(arrivals) - served.refused
    assert sum(pod.asked for pod in pods) == len(arrivals)
    assert all(pod.worked_seconds == pytest.approx(pod.busy_seconds(1e9)) for pod in pods)
    assert sum(pod.latency_seconds for pod in pods) == pytest.approx(
        served.latencies[answered].sum()
    )
    assert sum(pod.queue_seconds for pod in pods) == pytest.approx(served.waits[answered].sum())
    assert (served.latencies[answered] > served.waits[answered]).all()
    assert all(pod.idle and not pod.pending for pod in pods)


def test_first_come_first_served() -> None:
    replica = Replica(BatchTimes(0.004, 0.004), workers=3, delay=0.005, queue_size=50)
    served, (pod,) = serve(replica, at_random(0.9 * replica.limit, 20_000))
    # rounded, as a sum of differences need not be what it came from
    begun = np.round((served.arrived + served.waits)[~np.isnan(served.waits)], 9)
    assert (np.diff(begun) >= 0).all()
    sizes = np.unique(begun, return_counts=True)[1]
    assert sizes.max() == 8
    # every batch took what its size says
    assert pod.busy_seconds(1e9) == pytest.approx(0.004 * len(sizes) + 0.004 * sizes.sum())


def test_chance_is_the_seeds() -> None:
    arrivals = at_random(300, 5_000)
    replica = Replica(BatchTimes(0.004, 0.004))
    runs = [
        serve(replica, arrivals, replicas=2, spread=0.2, seed=seed)[0].latencies
        for seed in (1, 1, 2)
    ]
    assert np.array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_the_least_loaded_replica_is_taken() -> None:
    """Two at the same moment go to two replicas, whichever had the last."""
    quick = Replica(BatchTimes(0, 1.0), batch_size=1, delay=0)
    arrivals = np.repeat(np.arange(0.0, 40, 2), 2)
    served, _ = serve(quick, arrivals, replicas=2, balancing="least")
    assert served.latencies.tolist() == [1.0] * 40
    at_chance, _ = serve(quick, arrivals, replicas=2, balancing="random")
    assert at_chance.latencies.max() == 2.0
