"""Two TorchServes behind one door, under load; one is killed, and no request fails."""

import os
import signal
import threading
import time
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

        def kill_in_the_middle() -> None:
            while len(opened.access_log) < 40:
                time.sleep(0.02)
            os.killpg(os.getpgid(replicas[0].pids()[0]), signal.SIGKILL)

        killing = threading.Thread(target=kill_in_the_middle)
        killing.start()
        load = closed_loop(shots, 6, requests=120)
        killing.join()
        assert replicas[0].pids() == []
        assert load.statuses.tolist() == [200] * 120

        deadline = time.monotonic() + 10
        while len(opened.access_log) < 120 and time.monotonic() < deadline:
            time.sleep(0.05)  # a line follows the answer that it is about
        lines = opened.access_log
        asked = [line["upstream"].split(", ") for line in lines]
        assert len(lines) == 120
        answered = [upstreams.index(one[-1]) for one in asked]
        assert min(answered.count(0), answered.count(1)) >= 10  # both took part
        assert any(len(one) > 1 for one in asked)  # and what one lost, the other was asked
        assert set(answered[-50:]) == {1}
