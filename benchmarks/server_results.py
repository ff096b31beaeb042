"""What the server benchmark found: its samples as they go into ``server.json`` and out of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from load import Load


@dataclass(frozen=True)
class Sample:
    """One run of the load generator.

    Attributes:
        model: The architecture.
        contender: Who answered, and what was asked.
        concurrency: Clients of a closed loop; 0 for an open one.
        share: The arrivals of an open loop, as a share of what the closed loop found possible;
            0 for a closed one.
        load: What was found.
    """

    model: str
    contender: str
    concurrency: int
    share: float
    load: Load


@dataclass(frozen=True)
class Resident:
    """The resident memory of a worker, in MiB.

    Attributes:
        archive: Which model's worker.
        before: Before the first measured request, warmed up.
        after: After the last one of the closed and open loops.
    """

    archive: str
    before: float
    after: float


@dataclass(frozen=True)
class Found:
    """All of it.

    Attributes:
        about: The machine, the command, the date and the settings.
        closed: By round: the rates of one round were taken next to each other.
        open: Poisson arrivals.
        delays: A lone client's latencies, by ``maxBatchDelay`` in ms.
        soak: MiB of the worker, by requests so far.
        residents: Of every worker.
    """

    about: Mapping[str, Any]
    closed: Sequence[Sequence[Sample]] = ()
    open: Sequence[Sample] = ()
    delays: Mapping[int, Load] = field(default_factory=dict)
    soak: Mapping[int, float] = field(default_factory=dict)
    residents: Sequence[Resident] = ()

    @property
    def models(self) -> list[str]:
        """In the order measured."""
        return list(dict.fromkeys(sample.model for turn in self.closed for sample in turn))

    @property
    def concurrencies(self) -> list[int]:
        """Of the closed loop, ascending."""
        return sorted({sample.concurrency for turn in self.closed for sample in turn})

    def contenders(self, model: str) -> list[str]:
        """In the order of the first round."""
        return list(
            dict.fromkeys(
                sample.contender for turn in self.closed for sample in turn if sample.model == model
            )
        )

    def loads(self, model: str, contender: str, concurrency: int) -> list[Load]:
        """The closed loops of one contender, a round each."""
        return [
            sample.load
            for turn in self.closed
            for sample in turn
            if (sample.model, sample.contender, sample.concurrency)
            == (model, contender, concurrency)
        ]

    def ratios(self, model: str, contender: str, unit: str, concurrency: int) -> list[float]:
        """A contender's rate over another's, of every round that has both and got answers."""
        mine = self.loads(model, contender, concurrency)
        other = self.loads(model, unit, concurrency)
        # not strict: who is measured at all is measured in every round
        return [a.rate / b.rate for a, b in zip(mine, other, strict=False) if b.rate > 0]

    def write(self, path: Path) -> None:
        """Writes all of it as JSON, whole or not at all."""
        document = {
            **self.about,
            "closed": [[_sample(sample) for sample in turn] for turn in self.closed],
            "open": [_sample(sample) for sample in self.open],
            "delays": {str(delay): _load(load) for delay, load in self.delays.items()},
            "soak": {str(requests): mebibytes for requests, mebibytes in self.soak.items()},
            "residents": [asdict(resident) for resident in self.residents],
        }
        beside = path.with_suffix(".part")
        beside.write_text(json.dumps(document), encoding="utf-8")
        beside.replace(path)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads what ``write`` wrote.

        Raises:
            OSError: It cannot be read.
            KeyError: It is something else.
        """
        document = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            closed=[[_as_sample(one) for one in turn] for turn in document.pop("closed")],
            open=[_as_sample(one) for one in document.pop("open")],
            delays={int(key): _as_load(one) for key, one in document.pop("delays").items()},
            soak={int(key): value for key, value in document.pop("soak").items()},
            residents=[Resident(**one) for one in document.pop("residents")],
            about=document,
        )


def pooled(loads: Sequence[Load]) -> Load:
    """Several runs as one, for latencies and errors of all rounds."""
    return Load(
        sum(load.seconds for load in loads),
        np.concatenate([load.latencies for load in loads]),
        np.concatenate([load.statuses for load in loads]),
        sum(load.received for load in loads),
    )


def _sample(sample: Sample) -> dict[str, Any]:
    return {
        "model": sample.model,
        "contender": sample.contender,
        "concurrency": sample.concurrency,
        "share": sample.share,
        **_load(sample.load),
    }


def _as_sample(document: Mapping[str, Any]) -> Sample:
    return Sample(
        document["model"],
        document["contender"],
        document["concurrency"],
        document["share"],
        _as_load(document),
    )


def _load(load: Load) -> dict[str, Any]:
    return {
        "seconds": round(load.seconds, 4),
        "latencies": [round(latency, 4) for latency in load.latencies.tolist()],
        "statuses": load.statuses.tolist(),
        "received": load.received,
    }


def _as_load(document: Mapping[str, Any]) -> Load:
    return Load(
        document["seconds"],
        np.array(document["latencies"], dtype=np.float64),
        np.array(document["statuses"], dtype=np.int64),
        document["received"],
    )
