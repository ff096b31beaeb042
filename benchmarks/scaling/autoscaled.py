"""A day of requests at an autoscaled service."""

from collections.abc import Callable
from dataclasses import dataclass, field

from scaling.cluster import Cluster, Lifetimes
from scaling.day import Day
from scaling.hpa import Autoscaler, Behaviour
from scaling.pod import Pod
from scaling.prometheus import Prometheus, Sample
from scaling.replica import Replica
from scaling.signals import SIGNALS, Targets, View
from scaling.simulation import Served, Simulation

_IDLE_SHARE = 0.02
"""Of its processor an idle replica uses so much: the Java process, probes and metrics."""


@dataclass(frozen=True)
class Setup:
    """A service and how it is scaled.

    Attributes:
        replica: What each replica can do.
        day: When requests arrive.
        targets: Thresholds of the signals.
        behaviour: Of the autoscaler.
        lifetimes: Of replicas.
        balancing: A name of ``BALANCING``.
        scrape: Seconds between two scrapes; processor time is averaged over as much.
        window: Seconds over which rates are taken.
        sync: Seconds between two decisions of the autoscaler.
        working_processor: Share of its part of the replica's processor that a worker at work uses:
            1 where it computes there, less where it waits for a GPU.
        spread: The standard deviation of a batch's time over its mean.
        seed: Of all that is random.
    """

    replica: Replica
    day: Day
    targets: Targets = field(default_factory=Targets)
    behaviour: Behaviour = field(default_factory=Behaviour)
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    balancing: str = "random"
    scrape: float = 15.0
    window: float = 120.0
    sync: float = 15.0
    working_processor: float = 1.0
    spread: float = 0.1
    seed: int = 0


@dataclass(frozen=True)
class Run:
    """What a day came to.

    Attributes:
        signal: A name of ``SIGNALS``.
        served: What became of the requests.
        history: Time, replicas wanted, and replicas ready, after each change.
        replica_hours: Paid for, from the decision for a replica to its end.
    """

    signal: str
    served: Served
    history: list[tuple[float, int, int]]
    replica_hours: float


def run(
    setup: Setup, signal: str, first: int, progress: Callable[[float], None] | None = None
) -> Run:
    """Simulates a day.

    Args:
        setup: The service; two runs with the same one see the same requests.
        signal: A name of ``SIGNALS``.
        first: Replicas at the beginning.
        progress: Told the share of the day that is done, now and then.
    """
    arrivals = setup.day.arrivals(setup.seed)
    simulation = Simulation(
        setup.replica, arrivals, setup.balancing, setup.spread, seed=setup.seed + 1
    )
    prometheus = Prometheus(setup.window)
    cluster = Cluster(simulation, setup.lifetimes, prometheus.gone)
    cluster.start_at_once(first)
    control = _Control(setup, signal, simulation, cluster, prometheus)
    control.begin()
    count = max(len(arrivals), 1)
    served = simulation.run(progress and (lambda number: progress(number / count)))
    end = setup.day.seconds
    return Run(signal, served, cluster.history, cluster.pod_seconds(end) / 3600)


class _Control:
    """What is done again and again while requests arrive: scraping, and deciding."""

    def __init__(
        self,
        setup: Setup,
        signal: str,
        simulation: Simulation,
        cluster: Cluster,
        prometheus: Prometheus,
    ) -> None:
        self._setup, self._signal = setup, SIGNALS[signal]
        self._events = simulation.events
        self._cluster, self._prometheus = cluster, prometheus
        self._autoscaler = Autoscaler(setup.behaviour)
        self._worked: dict[Pod, float] = {}
        self._processor: list[float] = []

    def begin(self) -> None:
        self._events.at(self._setup.scrape, self._scrape)
        # a scrape that is half a period old is the average case
        self._events.at(self._setup.sync * 1.5, self._decide)

    def _scrape(self, now: float) -> None:
        setup = self._setup
        worked = {pod: pod.busy_seconds(now) for pod in self._cluster.ready}
        part = setup.working_processor / setup.replica.workers / setup.scrape
        self._processor = [
            _IDLE_SHARE + (seconds - self._worked[pod]) * part
            for pod, seconds in worked.items()
            if pod in self._worked
        ]
        self._worked = worked
        for pod in self._cluster.ready:
            seconds = (pod.latency_seconds, pod.queue_seconds)
            counters = (*seconds, pod.asked, pod.answered, pod.worked_seconds)
            self._prometheus.scraped(pod, Sample(now, *counters, pending=pod.pending))
        self._again(now, setup.scrape, self._scrape)

    def _decide(self, now: float) -> None:
        cluster = self._cluster
        view = View(
            now,
            cluster.current,
            len(cluster.ready),
            self._setup.replica.workers,
            self._prometheus,
            self._processor,
        )
        proposals = self._signal(view, self._setup.targets)
        wanted = self._autoscaler.decide(now, cluster.current, proposals)
        if wanted != cluster.current:
            cluster.scale_to(now, wanted)
        self._again(now, self._setup.sync, self._decide)

    def _again(self, now: float, period: float, action: Callable[[float], None]) -> None:
        if now + period < self._setup.day.seconds:
            self._events.at(now + period, action)
