"""The whole engine suite on a CUDA device, where there is one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

_TESTS = Path(__file__).resolve().parent
_OTHERS = {Path(__file__).name, "test_engine_benchmark.py"}
_MODULES = sorted({path.name for path in _TESTS.glob("test_engine_*.py")} - _OTHERS)


def run(module: str, device: str) -> subprocess.CompletedProcess[str]:
    """A module's tests, every explainer on the device."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "on_device", str(_TESTS / module)],
        cwd=_TESTS.parent,
        env={**os.environ, "GRADCAM_TEST_DEVICE": device, "PYTHONPATH": str(_TESTS)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("module", ["test_engine.py", "test_usual.py", *_MODULES])
def test_the_engine_is_exact_on_a_gpu(module: str) -> None:
    done = run(module, "cuda")
    assert done.returncode == 0, done.stdout[-4000:]


@pytest.mark.parametrize("module", ["test_engine.py", "test_engine_guards.py"])
def test_the_suite_can_be_moved_to_a_device(module: str) -> None:
    done = run(module, "cpu")
    assert done.returncode == 0, done.stdout[-4000:]
