"""The autoscaler's arithmetic and Prometheus' rates, worked out by hand."""

from collections.abc import Sequence

import pytest
from scaling.hpa import Autoscaler, Behaviour, Policy, by_average, by_utilisation, by_value
from scaling.prometheus import Prometheus, Sample
from scaling.signals import SIGNALS, Targets, View


@pytest.mark.parametrize(
    ("total", "wanted"),
    [(2.1, 3), (2.3, 3), (1.9, 3), (2.4, 4), (1.8, 3), (1.2, 2), (0.0, 0), (7.0, 10)],
)
def test_a_total_is_shared_by_replicas_of_07_each(total: float, wanted: int) -> None:
    # three have 2.1; a tenth more or less changes nothing
    assert by_average(total, 0.7, current=3) == wanted


def test_a_value_multiplies_the_ready() -> None:
    assert by_value(0.5, 0.25, current=4, ready=3) == 6
    assert by_value(0.26, 0.25, current=4, ready=3) == 4
    assert by_value(0.0, 0.25, current=4, ready=4) == 0


@pytest.mark.parametrize(
    ("used", "unready", "wanted"),
    [
        ([1.0, 1.0], 0, 3),  # 2 / 0.7 = 2.9
        ([1.0, 1.0], 1, 3),  # two of three: 0.67 is near 0.7
        ([1.0, 1.0], 2, 4),  # two of four is below, where two alone are above: nothing changes
        ([0.2, 0.2], 2, 1),  # when there are too many, those that start do not count
        ([0.75, 0.7], 0, 2),
    ],
)
def test_the_processor_of_those_that_start_counts_as_idle(
    used: Sequence[float], unready: int, wanted: int
) -> None:
    assert by_utilisation(used, unready, 0.7, current=len(used) + unready) == wanted


def test_at_most_four_or_twice_as_many_in_a_quarter_of_a_minute() -> None:
    scaler = Autoscaler(Behaviour(most=100))
    numbers = [1]
    for time in (0.0, 15.0, 30.0, 45.0):
        numbers.append(scaler.decide(time, numbers[-1], [90]))
    assert numbers == [1, 5, 10, 20, 40]


def test_within_the_period_of_a_policy_its_start_counts() -> None:
    scaler = Autoscaler(Behaviour(up=(Policy(60, share=1.0), Policy(60, pods=2)), most=100))
    assert [scaler.decide(0, 2, [90]), scaler.decide(15, 4, [90])] == [4, 4]
    assert scaler.decide(61, 4, [90]) == 8


def test_none_is_ended_before_all_of_the_window_asked_for_fewer() -> None:
    scaler = Autoscaler(Behaviour())
    assert scaler.decide(0, 8, [8]) == 8
    assert scaler.decide(15, 8, [2]) == 8
    assert scaler.decide(150, 8, [5]) == 8
    assert scaler.decide(301, 8, [3]) == 5  # the highest since
    assert scaler.decide(700, 5, [1]) == 1


def test_one_a_minute_is_ended() -> None:
    scaler = Autoscaler(Behaviour(down=(Policy(60, pods=1),), down_window=0))
    numbers = [8]
    for time in range(0, 121, 15):
        numbers.append(scaler.decide(time, numbers[-1], [1]))
    assert numbers == [8, 7, 7, 7, 7, 6, 6, 6, 6, 5]


def test_the_highest_of_several_counts_and_what_is_unknown_ends_none() -> None:
    scaler = Autoscaler(Behaviour(down_window=0))
    assert scaler.decide(0, 4, [2, 5, 3]) == 5
    assert scaler.decide(15, 5, [2, None]) == 5
    assert scaler.decide(30, 5, [None, None]) == 5
    assert scaler.decide(45, 5, [None, 6]) == 6
    assert scaler.decide(60, 6, [2, 1]) == 2


def test_least_and_most_hold() -> None:
    scaler = Autoscaler(Behaviour(least=2, most=3, down_window=0))
    assert scaler.decide(0, 2, [9]) == 3
    assert scaler.decide(15, 3, [0]) == 2


def sample(time: float, count: float, pending: float = 0) -> Sample:
    return Sample(time, 2 * count, count, 3 * count, count, 5 * count, pending)


def test_a_rate_over_a_full_window() -> None:
    prometheus = Prometheus(60)
    for time in range(0, 121, 15):
        prometheus.scraped("pod", sample(time, 3 * time))
    (rates,) = prometheus.rates(120)
    assert rates == pytest.approx((6, 3, 9, 3, 15))


def test_the_rate_of_a_new_pod_is_too_low_at_first() -> None:
    """Its increase is divided by the whole window: 15 s of samples, half a step more before."""
    prometheus = Prometheus(60)
    prometheus.scraped("pod", sample(105, 1000))
    assert prometheus.rates(105) == []
    prometheus.scraped("pod", sample(120, 1045))
    (rates,) = prometheus.rates(120)
    assert rates.answered == pytest.approx(45 * (15 + 7.5) / 15 / 60)


def test_a_counter_was_never_below_zero() -> None:
    prometheus = Prometheus(60)
    prometheus.scraped("pod", sample(105, 0))
    prometheus.scraped("pod", sample(120, 45))
    assert prometheus.rates(120)[0].answered == pytest.approx(45 / 60)


def test_workers_at_work_are_counted_by_batch_and_requests_as_they_come() -> None:
    """A worker does a batch of four in half a second, every second, and refuses four of eight.

    Each waited for 0.6 s, more than twice the target, and none waits now.
    """
    prometheus = Prometheus(60)
    for time in range(0, 61, 15):
        # latency, queue, asked, answered, worked
        counters = (4 * 1.1 * time, 4 * 0.6 * time, 8.0 * time, 4.0 * time, 0.5 * time)
        prometheus.scraped("pod", Sample(time, *counters, pending=0))
    view = View(60, current=1, ready=1, workers=1, prometheus=prometheus, processor=())
    targets = Targets(busy=0.22, rate=3.0)
    assert SIGNALS["workers"](view, targets) == [3, 3, 0]  # 0.5 / 0.22, 0.6 / 0.25
    assert SIGNALS["in service"](view, targets) == [10, 3, 0]  # four at a time count fourfold
    assert SIGNALS["requests"](view, targets) == [3, 3, 0]  # 8 / 3


def test_a_pod_that_is_gone_leaves_its_counters_in_the_window_but_no_gauge() -> None:
    prometheus = Prometheus(60)
    for time in (90, 105, 120):
        prometheus.scraped("old", sample(time, time, pending=7))
        prometheus.scraped("new", sample(time, 10 * time, pending=1))
    prometheus.gone("old")
    assert [one.pending for one in prometheus.last()] == [1]
    assert len(prometheus.rates(121)) == 2
    prometheus.scraped("new", sample(195, 10 * 195))
    assert len(prometheus.rates(200)) == 0  # the old are out of the window, of the new is only one
