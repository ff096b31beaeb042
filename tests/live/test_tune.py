"""A setup is served and loaded for real."""

from pathlib import Path

import pytest

from live.archives import package_demo
from pictures import cat, encode
from served_config import read_config
from tune import serve
from tuning import Setup

pytestmark = pytest.mark.live


def test_a_setup_is_measured_by_clients_of_a_live_server(tmp_path: Path) -> None:
    package_demo(tmp_path)
    archive = tmp_path / "demo.mar"
    setup = Setup("bf16", workers=2, threads=1, batch_size=2, delay=1)

    found = serve(
        *(archive, read_config(archive), setup, [encode(cat(), "JPEG")], "overlay", 1.0),
        tmp_path / "logs",
    )

    assert found.setup == setup
    assert found.errors == 0
    assert found.rate > 0
    assert 0 < found.lone < 60
    assert 0 < found.busy < 60
