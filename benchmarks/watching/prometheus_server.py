"""A Prometheus of this machine: started, told whom to read, asked, stopped."""

import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from local_ports import HOST, Ports, get_json, open_local
from process_group import ProcessGroup


@dataclass(frozen=True)
class Series:
    """One series of an answer.

    Attributes:
        labels: Without the metric's name.
        times: Seconds since 1970.
        values: As many; NaN and infinity among them.
    """

    labels: Mapping[str, str]
    times: Sequence[float]
    values: Sequence[float]


class Prometheus:
    """Reads pods as the operator's PodMonitor makes it do: with their namespace and name."""

    def __init__(self, program: Path, folder: Path, scrape: int) -> None:
        """Starts nothing yet.

        Args:
            program: Prometheus.
            folder: For its data, log and configuration; made if missing.
            scrape: Seconds between two scrapes.
        """
        self._program, self._folder, self._scrape = program, folder.resolve(), scrape
        self._port = Ports.free().metrics
        self._group: ProcessGroup | None = None
        self._targets = self._folder / "targets.json"

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self.read({})
        config = {
            "global": {"scrape_interval": f"{self._scrape}s", "evaluation_interval": "1m"},
            "scrape_configs": [
                {
                    "job_name": "pods",
                    "file_sd_configs": [{"files": [str(self._targets)], "refresh_interval": "2s"}],
                }
            ],
        }
        file = self._folder / "prometheus.yaml"
        file.write_text(json.dumps(config), encoding="utf-8")  # which is YAML too
        command = [
            str(self._program),
            f"--config.file={file}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address={HOST}:{self._port}",
        ]
        self._group = ProcessGroup(command, self._folder, os.environ, self._folder / "log")
        self._wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        if self._group is not None:
            self._group.stop(10)

    def read(self, pods: Mapping[str, int], namespace: str = "gradcam") -> None:
        """From now on it reads these, and no others.

        Args:
            pods: The port of ``/metrics`` of each, by the name of the pod.
            namespace: Of them all.
        """
        targets = [
            {"targets": [f"{HOST}:{port}"], "labels": {"namespace": namespace, "pod": name}}
            for name, port in pods.items()
        ]
        new = self._targets.with_suffix(".new")
        new.write_text(json.dumps(targets), encoding="utf-8")
        new.replace(self._targets)

    def ask(self, query: str, begin: float, end: float, step: int) -> list[Series]:
        """What a query gives from one moment to another.

        Args:
            query: PromQL.
            begin: Seconds since 1970.
            end: Likewise.
            step: Seconds between two points.

        Raises:
            OSError: It refuses; the message says why.
        """
        told = {"query": query, "start": f"{begin:.0f}", "end": f"{end:.0f}", "step": str(step)}
        url = f"http://{HOST}:{self._port}/api/v1/query_range?{urllib.parse.urlencode(told)}"
        try:
            with open_local(urllib.request.Request(url), 60) as reply:
                answer = json.load(reply)
        except urllib.error.HTTPError as error:
            raise OSError(f"{query}: {error.read().decode()}") from error
        return [_series(one) for one in answer["data"]["result"]]

    def _wait_ready(self) -> None:
        for _ in range(300):
            try:
                if get_json(f"http://{HOST}:{self._port}/api/v1/status/buildinfo"):
                    return
            except (OSError, ValueError):
                time.sleep(0.1)
        raise OSError(f"Prometheus does not start; {self._folder / 'log'} says why")


def _series(one: Mapping[str, Any]) -> Series:
    labels = {name: value for name, value in one["metric"].items() if name != "__name__"}
    times, values = zip(*one["values"], strict=True)
    return Series(labels, times, [float(value) for value in values])
