"""Startup, ready, live: decided from what was observed; and the command that asks the agent.

    python -m container.health ready

``/ping`` is not readiness: it says 200 Healthy while a model loads, while its worker crashes over
and over, when it is scaled to nothing, and when its archive could not be read.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from container.errors import SettingsError
from container.local_http import Silent, ask
from container.management import ModelState, Ping
from container.settings import agent_port

SILENCE = 15.0
"""Seconds without an answer of ``/ping`` after which TorchServe counts as dead."""
FIRST_ANSWER = 120.0
"""The same before its first answer: Java starts, on a busy machine."""
STALE = 30.0
"""Seconds after which nobody can say how the models are."""

_EXAMPLES = """
exit status: 0 if it is so, 1 if not or if nobody can tell; the sentence says why

example:
  python -m container.health ready
"""


@dataclass(frozen=True)
class Verdict:
    """Whether it is so, and if not, why: a sentence for each reason."""

    ok: bool
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Observation:
    """What is known at one moment; times are of :func:`time.monotonic`.

    Attributes:
        started: When the server was started.
        at: When the models were last asked for.
        ping: What ``/ping`` said last.
        answered: When it last said anything; ``None`` if never.
        models: By every expected model's name, its state, or a sentence why there is none.
        canaries: By the same, what became of its canary: empty when it was answered.
        draining: Whether the container was asked to end.
        was_ready: Whether it was ready once.
    """

    started: float
    at: float
    ping: Ping
    answered: float | None
    models: Mapping[str, ModelState | str]
    canaries: Mapping[str, str]
    draining: bool = False
    was_ready: bool = False


def ready(seen: Observation, now: float) -> Verdict:
    """Whether requests should come here: every model can answer, and has answered once.

    A full queue does not change it, for then all replicas would leave at once; the door refuses.
    """
    if seen.draining:
        return Verdict(False, ("the container is shutting down",))
    reasons = []
    if now - seen.at > STALE:
        reasons.append(f"the models were last seen {now - seen.at:.0f} s ago")
    for name, state in seen.models.items():
        reason = _why_not(state, seen.canaries.get(name, "it is not asked yet"))
        if reason:
            reasons.append(f"model {name}: {reason}")
    return Verdict(not reasons, tuple(reasons))


def live(seen: Observation, now: float) -> Verdict:
    """Whether the container can still get well by itself; if not, only a new one helps."""
    if seen.draining:
        return Verdict(True)
    if seen.ping is Ping.UNHEALTHY:
        return Verdict(
            False,
            (
                "TorchServe has given up on a worker that failed for maxRetryTimeoutInSec, and "
                "starts it no more",
            ),
        )
    if seen.answered is None:
        waited, patience = now - seen.started, FIRST_ANSWER
    else:
        waited, patience = now - seen.answered, SILENCE
    if waited > patience:
        return Verdict(False, (f"TorchServe has not answered for {waited:.0f} s",))
    return Verdict(True)


def startup(seen: Observation, now: float) -> Verdict:
    """Whether it was ready once, after which ready and live are what counts."""
    return Verdict(True) if seen.was_ready else ready(seen, now)


CHECKS = {"ready": ready, "live": live, "startup": startup}
"""By the path's and the command's word."""


def _why_not(state: ModelState | str, canary: str) -> str:
    if isinstance(state, str):
        return state
    if state.min_workers == 0 and state.ready_workers == 0:
        return "it is scaled to no worker"
    if state.ready_workers < state.expected_workers:
        return f"{state.ready_workers} of {state.expected_workers} workers are READY"
    return f"its canary has not succeeded: {canary}" if canary else ""


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m container.health",
        description="Asks the agent of this container, and says one sentence.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("check", choices=sorted(CHECKS))
    check = parser.parse_args().check
    try:
        answer = ask(f"127.0.0.1:{agent_port(os.environ)}", f"/{check}", 5)
    except (Silent, SettingsError) as error:
        print(f"{check}: nobody can tell: {error}")
        return 1
    print(f"{check}: {json.loads(answer.body)['message']}")
    return 0 if answer.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
