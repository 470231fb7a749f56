"""Resident memory: of a call in this process, and of the first pass in a new one."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch

import rnnkit
from rnnkit.benchmark.candidates import ours, rival
from rnnkit.benchmark.memory import fresh_memory, peak_memory
from rnnkit.benchmark.process import Conditions
from rnnkit.benchmark.sizes import Size
from rnnkit.benchmark.workload import Workload


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured on Linux alone")
def test_memory_is_that_of_the_call():
    taken = peak_memory(lambda: torch.ones(2**23))
    assert taken is not None
    assert 0.9 * 2**25 < taken < 1.5 * 2**25


KEEP = """
import resource, torch
from rnnkit.benchmark.machine import keep_memory
torch.set_num_threads(1)
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.empty(2**23).fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(sum(faults() for _ in range(5)))
keep_memory()
for _ in range(30):  # until the heap is as large as it gets
    faults()
print(sum(faults() for _ in range(5)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a switch of glibc")
def test_kept_memory_costs_no_page_faults():
    done = subprocess.run([sys.executable, "-c", KEEP], check=True, capture_output=True, text=True)
    default, keep = map(int, done.stdout.split())
    assert keep < 0.1 * default


FREED = """
import torch
from rnnkit.benchmark.machine import keep_memory
from rnnkit.benchmark.memory import peak_memory
torch.set_num_threads(1)
keep_memory()
torch.ones(2**24)
print(peak_memory(lambda: torch.ones(2**16)))
torch.ones(2**24)
print(peak_memory(lambda: torch.ones(2**23)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured on Linux alone")
def test_memory_that_was_freed_before_counts_neither_way():
    done = subprocess.run([sys.executable, "-c", FREED], check=True, capture_output=True, text=True)
    small, large = map(int, done.stdout.split())
    assert small < 2**24
    assert 0.9 * 2**25 < large < 1.5 * 2**25


class Hoarder(rnnkit.unrollers["loop"]):
    """The loop, beside 64 MiB that it touches once and keeps."""

    def __init__(self):
        self.kept = {}

    def __call__(self, cell, xs, state=None, *, lengths=None, reset=None):
        if len(xs) > 2 and "buffer" not in self.kept:
            self.kept["buffer"] = torch.ones(2**24)
        return super().__call__(cell, xs, state, lengths=lengths, reset=reset)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured on Linux alone")
def test_what_a_layer_keeps_shows_in_a_new_process_alone(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    kind = import_module("test_memory").Hoarder  # as the other process will import it
    workload, alone = Workload(Size(2, 50, 4, 8)), Conditions(threads=1)
    layer = ours("lstm", kind())
    assert fresh_memory(layer, workload, alone) > 2**26
    assert fresh_memory(rival("torch", "lstm")[1], workload, alone) < 2**25
    module = layer(workload.size)
    assert peak_memory(lambda: module(workload.input())) < 2**25
