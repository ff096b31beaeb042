"""The HorizontalPodAutoscaler's arithmetic: how many replicas metrics ask for, and what is done.

Written after the documented algorithm of ``autoscaling/v2`` (kubernetes.io, "Horizontal Pod
Autoscaling", sections "Algorithm details" and "Configurable scaling behavior"). KEDA makes such an
autoscaler from a ScaledObject, and feeds it with external metrics.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

TOLERANCE = 0.1
"""A metric that is within this share of its target changes nothing."""


def _within(ratio: float, tolerance: float) -> bool:
    return abs(ratio - 1) <= tolerance


def by_average(total: float, target: float, current: int, tolerance: float = TOLERANCE) -> int:
    """An external metric with an ``AverageValue``: a total, of which each replica has a share.

    Args:
        total: The metric, summed over all series.
        target: What one replica should have of it, above 0.
        current: Replicas, those that are starting included.
        tolerance: Share of the target.
    """
    if _within(total / (target * current), tolerance):
        return current
    return math.ceil(total / target)


def by_value(
    value: float, target: float, current: int, ready: int, tolerance: float = TOLERANCE
) -> int:
    """An external metric with a ``Value``, which is the same however many replicas there are.

    Args:
        value: The metric; of several series, their sum.
        target: What it should be, above 0.
        current: Replicas, those that are starting included.
        ready: Those of them that are ready.
        tolerance: Share of the target.
    """
    ratio = value / target
    return current if _within(ratio, tolerance) else math.ceil(ratio * ready)


def by_utilisation(
    used: Sequence[float], unready: int, target: float, current: int, tolerance: float = TOLERANCE
) -> int:
    """A resource metric, such as CPU, with a target share of what each replica requests.

    Args:
        used: What each ready replica uses of its request, one or more.
        unready: Replicas that are starting: taken to use nothing, if more are asked for.
        target: Share of the request.
        current: Replicas, those that are starting included.
        tolerance: Share of the target.
    """
    ratio = sum(used) / len(used) / target
    counted = len(used)
    if unready and ratio > 1:
        counted += unready
        above = ratio
        ratio = sum(used) / counted / target
        if _within(ratio, tolerance) or (ratio < 1) != (above < 1):
            return current
    elif _within(ratio, tolerance):
        return current
    wanted = math.ceil(ratio * counted)
    if (ratio < 1 and wanted > current) or (ratio > 1 and wanted < current):
        return current
    return wanted


@dataclass(frozen=True)
class Policy:
    """How much may change in a period: so many pods, or such a share of them."""

    period: float
    pods: int = 0
    share: float = 0.0


@dataclass(frozen=True)
class Behaviour:
    """How fast an autoscaler follows its metrics; the defaults are Kubernetes's own.

    Attributes:
        up: Of these policies the one that allows most counts.
        down: Likewise.
        up_window: Seconds of which the lowest recommendation counts, before more are started.
        down_window: Seconds of which the highest recommendation counts, before any is ended.
        least: ``minReplicas``.
        most: ``maxReplicas``.
    """

    up: tuple[Policy, ...] = (Policy(15, pods=4), Policy(15, share=1.0))
    down: tuple[Policy, ...] = (Policy(15, share=1.0),)
    up_window: float = 0.0
    down_window: float = 300.0
    least: int = 1
    most: int = 20


SHIPPED = Behaviour(down=(Policy(60, pods=1),), least=2, most=10)
"""What ``kubernetes/components/autoscale-keda`` sets: up as Kubernetes does, down one a minute."""

SLOWER = Behaviour(
    up=(Policy(60, share=1.0), Policy(60, pods=2)), down=SHIPPED.down, least=2, most=10
)
"""The same, but twice as many or two more in a minute at most."""


@dataclass
class Autoscaler:
    """Turns what metrics ask for into a number of replicas, with a memory of what it did."""

    behaviour: Behaviour
    _asked: list[tuple[float, int]] = field(default_factory=list)
    _changes: list[tuple[float, int]] = field(default_factory=list)

    def decide(self, now: float, current: int, proposals: Sequence[int | None]) -> int:
        """How many replicas there should be.

        Args:
            now: Seconds, never less than before.
            current: Replicas, those that are starting included.
            proposals: What each metric asks for; None where it could not be read, which forbids to
                end any.
        """
        known = [proposal for proposal in proposals if proposal is not None]
        if not known or (len(known) < len(proposals) and max(known) < current):
            wanted = current
        else:
            wanted = max(known)
        wanted = self._limited(now, current, self._stabilised(now, current, wanted))
        wanted = min(max(wanted, self.behaviour.least), self.behaviour.most)
        if wanted != current:
            self._changes.append((now, wanted - current))
        return wanted

    def _stabilised(self, now: float, current: int, wanted: int) -> int:
        behaviour = self.behaviour
        longest = max(behaviour.up_window, behaviour.down_window)
        self._asked = [entry for entry in self._asked if entry[0] > now - longest]
        lowest = highest = wanted
        for time, asked in self._asked:
            if time > now - behaviour.up_window:
                lowest = min(lowest, asked)
            if time > now - behaviour.down_window:
                highest = max(highest, asked)
        self._asked.append((now, wanted))
        return min(max(current, lowest), highest)

    def _limited(self, now: float, current: int, wanted: int) -> int:
        behaviour = self.behaviour
        longest = max(policy.period for policy in (*behaviour.up, *behaviour.down))
        self._changes = [entry for entry in self._changes if entry[0] > now - longest]
        if wanted > current:
            return min(wanted, max(self._allowed(now, current, one) for one in behaviour.up))
        if wanted < current:
            return max(wanted, min(self._allowed(now, current, one, -1) for one in behaviour.down))
        return wanted

    def _allowed(self, now: float, current: int, policy: Policy, sign: int = 1) -> int:
        """How far one policy lets the number go, from where it was when its period began."""
        since = now - policy.period
        moved = sum(change for time, change in self._changes if time > since and change * sign > 0)
        start = current - moved
        if policy.pods:
            return start + sign * policy.pods
        return (
            math.ceil(start * (1 + policy.share)) if sign > 0 else int(start * (1 - policy.share))
        )
