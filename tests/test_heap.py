"""Freed memory is kept: in a process of its own, for it cannot be undone."""

import subprocess
import sys

import pytest

from repository import ROOT

_SCRIPT = """
import resource
import sys

import torch

sys.path.insert(0, sys.argv[1])
from gradcam.heap import keep_freed_memory

if sys.argv[2] == "kept":
    assert keep_freed_memory()

def batch():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    held = [torch.ones(12_000_000) for _ in range(4)]
    del held
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print([batch() for _ in range(4)][-1])
"""

_FRAGMENTED = """
import sys
from pathlib import Path

import torch

sys.path.insert(0, sys.argv[1])
from gradcam.heap import give_back, keep_freed_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

assert keep_freed_memory()
empty = resident()
large = [torch.ones(7_000_000) for _ in range(20)]
lives_on = torch.ones(500_000)
del large
kept = resident()
give_back()
print(kept - empty, resident() - empty, float(lives_on.sum()))
"""


def faults(how: str) -> int:
    """Pages that the last of four equal batches of 192 MB had to get from the system."""
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(ROOT / "handlers"), how],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's own way")
def test_a_later_batch_gets_its_memory_without_the_system() -> None:
    assert faults("kept") < 100
    assert faults("given back") > 1000  # which is what there is to gain


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's own way")
def test_what_lies_below_a_block_that_lives_on_can_be_given_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FRAGMENTED, str(ROOT / "handlers")],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    kept, left, total = map(float, done.stdout.split())
    assert kept > 500e6  # which the end of the heap does not give back by itself
    assert left < 50e6
    assert total == 500_000
