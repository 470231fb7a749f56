"""The memory of a pass: in this process, or in one of its own, where nothing is left from before."""

from collections.abc import Callable

from rnnkit.benchmark.candidates import Build
from rnnkit.benchmark.machine import count_peak_anew, resident, trim
from rnnkit.benchmark.process import Conditions, in_new_process
from rnnkit.benchmark.workload import Workload, one_pass

WARM_UP_STEPS = 2


def peak_memory(function: Callable[[], object], warm_up: bool = True) -> int | None:
    """Measure the bytes of resident memory that a call takes at its peak, above what stood before; None: not Linux.

    Without `warm_up` the first call counts, with what it sets up to stay.
    """
    if warm_up:
        function()
    trim()  # what is kept from before would be used again, uncounted
    if not count_peak_anew():
        return None
    before = resident("VmRSS")
    function()
    return max(0, resident("VmHWM") - before)


def fresh_memory(build: Build, workload: Workload, conditions: Conditions) -> int | None:
    """Measure the same in a new process, in the first pass of that length: buffers that a layer keeps count too."""
    return in_new_process(_first_peak, build, workload, conditions)


def _first_peak(build: Build, workload: Workload, conditions: Conditions) -> int | None:
    conditions.settle()
    module = build(workload.size).to(workload.dtype)
    # Libraries, threads and compiled code come with a few steps, which need little memory.
    one_pass(module, workload.cut(WARM_UP_STEPS).input(), workload.training)()
    module.zero_grad(set_to_none=True)
    return peak_memory(one_pass(module, workload.input(), workload.training), warm_up=False)
