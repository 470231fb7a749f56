"""The C++ backend: kernels made for a graph and for this processor."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial

import torch

from rnnkit_compiler.backends.base import autograd
from rnnkit_compiler.backends.base.backend import (
    Backend,
    Lasting,
    RecordedStep,
    Refusal,
    Results,
    Tensors,
    Timeline,
    beyond,
)
from rnnkit_compiler.backends.base.calls import Calls
from rnnkit_compiler.backends.base.forms import Forms
from rnnkit_compiler.backends.base.passes import Foreknown, fitted
from rnnkit_compiler.backends.base.recurrence import Recurrence
from rnnkit_compiler.backends.base.runtime import Unfit
from rnnkit_compiler.backends.cpp.boundary import is_plain
from rnnkit_compiler.backends.cpp.building.build import complaints
from rnnkit_compiler.backends.cpp.building.cache import cache_folder, cache_size, clear_cache
from rnnkit_compiler.backends.cpp.building.compilation import CompileError
from rnnkit_compiler.backends.cpp.building.toolchain import instruction_set, toolchain
from rnnkit_compiler.backends.cpp.direct import DirectCall
from rnnkit_compiler.backends.cpp.kernels import INFERENCE, TRAINING, Kernels
from rnnkit_compiler.backends.cpp.library import library_of
from rnnkit_compiler.backends.cpp.linear import LEAST, FastProducts
from rnnkit_compiler.backends.cpp.runtime import CpuRuntime
from rnnkit_compiler.backends.cpp.thread_pool import thread_facts
from rnnkit_compiler.backends.cpp.workspace import scratch, shared
from rnnkit_compiler.backends.torch.backend import TorchOperations
from rnnkit_compiler.ir.lowered import Lowered
from rnnkit_compiler.ir.whole_numbers import INTEGERS
from rnnkit_compiler.schedule.explanation import explain
from rnnkit_compiler.schedule.plan import KernelPlan

DTYPES = (torch.float32, torch.float64)

STATES = (*DTYPES, torch.complex64, torch.complex128, torch.bool, *INTEGERS)
"""What a state may be."""


class Cpp(Backend):
    """Runs the steps in a kernel.

    Args:
        step: in the ir.
        title: names the cell in the source.
        comment: the cell's equation, for the source.
        fallback: runs the same steps with torch's operations, for derivatives of derivatives.
        forms: of what the step is given and gives.
        narrow: round factors to bfloat16 where the processor multiplies them.

    Raises:
        CompileError: there is no compiler, or it fails on what is wanted now, training's kernels or inference's.
    """

    name = "cpp"

    def __init__(self, step: Lowered, title: str, comment: str, fallback: Backend, forms: Forms, narrow: bool) -> None:
        plan = KernelPlan(step)
        kernels = Kernels(plan, title, comment, narrow)
        kernels.compile(TRAINING if torch.is_grad_enabled() else INFERENCE)
        self.invariants = step.invariants
        self._kernels = kernels
        self._recurrence = Recurrence(plan, CpuRuntime(kernels), fallback, forms)
        self._calls = Calls(self._recurrence)

    @classmethod
    def supports(cls, step: RecordedStep | None, device: torch.device, dtype: torch.dtype) -> str:
        """Return why there is no kernel: the tensors are elsewhere, or an operation has no counterpart in the ir."""
        if device.type != "cpu":
            return f"kernels run on the CPU, and there is a tensor on {device}"
        return beyond(step, dtype, STATES, DTYPES)

    @classmethod
    def make(cls, step: RecordedStep) -> Backend | Refusal:
        """Compile the kernels; a refusal where there is no compiler, or it fails."""
        assert isinstance(step.lowered, Lowered)
        fallback = TorchOperations(step, step.lowered.invariants, defer=False)
        try:
            return cls(step.lowered, step.title, step.comment, fallback, Forms(step), step.narrow)
        except CompileError as error:
            return Refusal(str(error))

    def run(self, tensors: Tensors, timeline: Timeline) -> Results:
        """Step through time in the kernel."""
        return autograd.apply(self._calls, tensors, timeline)

    def lasting(self, lasting: Lasting) -> Callable[[Tensors, Timeline], Results] | None:
        """Return what does so where something of the invariants lasts; see `Backend`."""
        if not self._recurrence.forms.are_plain or lasting.added.keys() & set(self._recurrence.of_matrix):
            return None
        dtype, added = self._recurrence.runtime.dtype, tuple(lasting.added)
        lying = {k: t.data_ptr() for k, t in lasting.fixed.items() if is_plain(t) and fitted(t, dtype) is t}
        return partial(autograd.apply, self._calls.lasting(Foreknown(lying, added)))

    def direct(self, steps: int, batch: int) -> DirectCall | None:
        """Prepare a call of the inference kernel; None if it cannot be compiled, or has tensors in forms of its own."""
        if not self._recurrence.forms.are_plain:
            return None
        try:
            return DirectCall(self._recurrence, self._kernels.library("Inference"), steps, batch)
        except Unfit:
            return None

    def explain(self) -> Iterator[str]:
        """Say what is fused, kept and deferred, and what it costs."""
        return explain(self._recurrence.plan)

    def is_worth_it(self, steps: int, batch: int) -> bool:
        """Tell that it is, always."""
        return True

    @classmethod
    def fast_products(cls, multiplications: int) -> AbstractContextManager[object] | None:
        """Return what has large products on the CPU done by kernels."""
        return FastProducts() if multiplications >= LEAST else None

    @classmethod
    def facts(cls) -> Mapping[str, str]:
        """Tell the compiler, whether kernels can be had, the instruction set, the threads and the cache."""
        tools = toolchain()
        files, size = cache_size()
        without = "none, so the plan runs with torch's operations; install g++ or clang++, or set RNNKIT_CXX"
        return {
            "compiler": without if tools is None else " ".join(tools.command),
            "kernels": _kernels(),
            "instruction set": instruction_set(),
            "bfloat16": _narrow(),
            "threads": thread_facts(),
            "cache": f"{cache_folder()}, {files} files, {size / 2**20:.1f} MiB",
        }

    @classmethod
    def clear_cache(cls) -> int:
        """Remove all stored kernels; return their bytes."""
        return clear_cache()[1]

    @classmethod
    def release_memory(cls) -> None:
        """Return to the system the storage that would be used again."""
        shared.release()
        scratch.release()


def _narrow() -> str:
    """Tell in what kernels multiply under autocast to bfloat16."""
    try:
        rounds = library_of(torch.float32, narrow=True).rounds
    except CompileError as error:
        return f"none: {error}"
    return "the processor multiplies it, and so do kernels under autocast" if rounds else "kernels multiply float32"


def _kernels() -> str:
    """Try what all kernels need; tell whether it can be had, and what was fallen back on in this process."""
    try:
        library_of(torch.float32)
    except CompileError as error:
        return f"none: {error}"
    return "; ".join(complaints()) or "compiled or found, and loaded"
