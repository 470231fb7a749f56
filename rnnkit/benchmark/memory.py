"""The memory of a pass: in this process, or in one of its own, where nothing is left from before."""

from collections.abc import Callable

import torch

from rnnkit.benchmark.candidates import Build
from rnnkit.benchmark.clock import clock_of
from rnnkit.benchmark.machine import count_peak_anew, resident, trim
from rnnkit.benchmark.process import Conditions, in_new_process
from rnnkit.benchmark.workload import CPU, Workload, one_pass

WARM_UP_STEPS = 2


def peak_memory(function: Callable[[], object], warm_up: bool = True, device: torch.device = CPU) -> int | None:
    """Measure the bytes that a call takes at its peak, above what stood before: of resident memory; None: not Linux.

    On other devices than the CPU they are those of torch's tensors. Without `warm_up` the first call counts, with what
    it sets up to stay.
    """
    if warm_up:
        function()
    if device.type != "cpu":
        return _peak_on(device, function)
    trim()  # what is kept from before would be used again, uncounted
    if not count_peak_anew():
        return None
    before = resident("VmRSS")
    function()
    return max(0, resident("VmHWM") - before)


def _peak_on(device: torch.device, function: Callable[[], object]) -> int:
    memory, clock = torch.get_device_module(device), clock_of(device)
    clock.wait()
    memory.reset_peak_memory_stats(device)
    before = int(memory.memory_allocated(device))
    function()
    clock.wait()
    return int(memory.max_memory_allocated(device)) - before


def fresh_memory(build: Build, workload: Workload, conditions: Conditions) -> int | None:
    """Measure the same in a new process, in the first pass of that length: buffers that a layer keeps count too."""
    return in_new_process(_first_peak, build, workload, conditions)


def _first_peak(build: Build, workload: Workload, conditions: Conditions) -> int | None:
    conditions.settle()
    module = build(workload.size).to(workload.device, workload.dtype)
    # Libraries, threads and compiled code come with a few steps, which need little memory.
    one_pass(module, workload.cut(WARM_UP_STEPS).input(), workload.training)()
    module.zero_grad(set_to_none=True)
    run = one_pass(module, workload.input(), workload.training)
    return peak_memory(run, warm_up=False, device=workload.device)
