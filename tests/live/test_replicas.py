"""Two TorchServes behind one door, under load; one is killed, and no request fails."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from doors import AUTHORISED, door
from live.archives import package_demo
from load import Shot, closed_loop
from local_ports import HOST
from pictures import cat_jpeg
from torchserve_process import TorchServe

pytestmark = pytest.mark.live


@pytest.fixture
def replicas(tmp_path: Path) -> Iterator[list[TorchServe]]:
    assert package_demo(tmp_path), "the demo model has not been trained"
    with ExitStack() as stack:
        servers = [
            stack.enter_context(
                TorchServe(tmp_path, {"demo": "demo.mar"}, log_dir=tmp_path / f"logs-{number}")
            )
            for number in range(2)
        ]
        for server in servers:
            server.wait_ready(timeout=400)
        yield servers


def test_one_of_two_is_killed_under_load_and_no_request_fails(replicas: list[TorchServe]) -> None:
    upstreams = [f"{HOST}:{server.ports.inference}" for server in replicas]
    with door(UPSTREAMS=",".join(upstreams)) as opened:
        url = f"http://{HOST}:{opened.settings.door_port}/explanations/demo"
        shots = [Shot(url, cat_jpeg(), {**AUTHORISED, "Content-Type": "image/jpeg"})]
        closed_loop(shots, 4, requests=20)  # both have answered before

        def kill() -> None:
            os.killpg(os.getpgid(replicas[0].pids()[0]), signal.SIGKILL)

        timer = threading.Timer(2, kill)
        timer.start()
        load = closed_loop(shots, 6, seconds=6)
        timer.join()
        assert replicas[0].pids() == []
        assert len(load.statuses) > 30
        assert load.errors == 0
        lines = opened.access_log[20:]
        served = dict.fromkeys(upstreams, 0)
        for line in lines:
            served[line["upstream"].rpartition(", ")[2]] += 1
        assert min(served.values()) > 5  # both took part
        assert any("," in line["upstream"] for line in lines)  # and some were asked again
        assert all(line["status"] == 200 for line in lines)
