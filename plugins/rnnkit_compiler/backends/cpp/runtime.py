"""The runtime of the CPU: recycled memory, torch's own threads, and the libraries of a step."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from rnnkit_compiler.backends.base.runtime import Prepared, Runner, Runtime
from rnnkit_compiler.backends.cpp.kernel import stretch
from rnnkit_compiler.backends.cpp.kernels import Kernels
from rnnkit_compiler.backends.cpp.prepared_run import PreparedRuns
from rnnkit_compiler.backends.cpp.thread_pool import threads
from rnnkit_compiler.backends.cpp.workspace import shared
from rnnkit_compiler.schedule.sharing import Shares, StepWork, best_shares


class CpuRuntime(Runtime):
    """Runs kernels that were compiled for this processor."""

    def __init__(self, kernels: Kernels) -> None:
        self.device, self.dtype = torch.device("cpu"), kernels.dtype
        self._kernels = kernels

    allocate = staticmethod(shared.take)
    allocator = staticmethod(shared.allocator)  # a call of a layer comes here a dozen times

    def allocator_of_sums(self, shape: Sequence[int], workers: int) -> Callable[[], Tensor]:
        """Return what makes room for sums: each worker begins its own with zeros, those that never run do not."""
        make = torch.empty if workers == 1 else torch.zeros
        return partial(make, *shape, dtype=self.dtype_of_sums, device=self.device)

    def shares(self, steps: int, batch: int, work: StepWork) -> Shares:
        """Choose how the threads share the work, by the model of `schedule.sharing`."""
        return best_shares(work, steps, batch, threads())

    def product_slots(self, steps: int, batch: int) -> int:
        """Return the steps for which products of the input alone are kept: they stay in a cache."""
        return stretch(steps, batch)

    def runner(self, prepared: Prepared) -> Runner:
        """Return what runs the kernel; raises Unfit if it cannot be compiled."""
        return PreparedRuns(self._kernels.library(prepared.kernel), prepared)
