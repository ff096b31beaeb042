"""To which replica a request goes."""

from collections.abc import Callable, Sequence

import numpy as np

from scaling.pod import Pod

Choose = Callable[[Sequence[Pod]], Pod]

_DRAWN = 65536  # at once, as one random number at a time is slow


def at_random(generator: np.random.Generator) -> Choose:
    """Any, with the same probability: what a Kubernetes Service does with new connections."""
    drawn: list[float] = []

    def choose(pods: Sequence[Pod]) -> Pod:
        if not drawn:
            drawn.extend(generator.random(_DRAWN).tolist())
        return pods[int(drawn.pop() * len(pods))]

    return choose


def in_turn(_: np.random.Generator) -> Choose:
    """One after the other: nginx without further words."""
    turn = 0

    def choose(pods: Sequence[Pod]) -> Pod:
        nonlocal turn
        turn += 1
        return pods[turn % len(pods)]

    return choose


def least_loaded(_: np.random.Generator) -> Choose:
    """The one with the fewest requests waiting, then with the fewest workers at work.

    Of several, the next in turn. nginx's ``least_conn`` counts requests instead of workers.
    """
    turn = 0

    def choose(pods: Sequence[Pod]) -> Pod:
        nonlocal turn
        turn = (turn + 1) % len(pods)
        order = (*pods[turn:], *pods[:turn])
        return min(order, key=lambda pod: (len(pod.queue), pod.working))

    return choose


BALANCING: dict[str, Callable[[np.random.Generator], Choose]] = {
    "random": at_random,
    "turns": in_turn,
    "least": least_loaded,
}
"""By the name of the option."""
