"""What a server's ``/metrics`` shows, read as Prometheus reads it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from live.client import Client

Labels = frozenset[tuple[str, str]]

_LINE = re.compile(r"(?P<name>\w+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_OF_THE_MACHINE = {"hostname", "Hostname"}


@dataclass(frozen=True)
class Scraped:
    """Samples by name and labels, but for the machine's name.

    Attributes:
        samples: With the ``_bucket``, ``_sum`` and ``_count`` of histograms under these names.
        kinds: By metric, ``counter``, ``gauge`` or ``histogram``.
    """

    samples: Mapping[tuple[str, Labels], float]
    kinds: Mapping[str, str]

    def value(self, name: str, **labels: str) -> float:
        """The one sample with exactly these labels; 0 where there is none."""
        return self.samples.get((name, frozenset(labels.items())), 0.0)

    def family(self, name: str) -> dict[Labels, float]:
        """All samples of this name."""
        return {labels: value for (one, labels), value in self.samples.items() if one == name}


def scrape(metrics: Client) -> Scraped:
    """Reads ``/metrics`` now."""
    reply = metrics.send("GET", "metrics")
    assert reply.status == 200
    samples: dict[tuple[str, Labels], float] = {}
    kinds = {}
    for line in reply.body.decode().splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            kinds[name] = kind
        elif line and not line.startswith("#"):
            found = _LINE.fullmatch(line)
            assert found, line
            labels = frozenset(
                (name, value)
                for name, value in _LABEL.findall(found["labels"] or "")
                if name not in _OF_THE_MACHINE
            )
            assert (found["name"], labels) not in samples, line  # one machine, each once
            samples[found["name"], labels] = float(found["value"])
    return Scraped(samples, kinds)
