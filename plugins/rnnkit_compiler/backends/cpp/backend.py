"""The native backend: kernels in C++, made for this graph and this processor."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import torch

from rnnkit_compiler.backends.base.autograd import apply
from rnnkit_compiler.backends.base.backend import Backend, Sequences, Tensors, Unrolled
from rnnkit_compiler.backends.base.recurrence import Unrolling
from rnnkit_compiler.backends.cpp.building.build import build
from rnnkit_compiler.backends.cpp.code.source import generate
from rnnkit_compiler.backends.cpp.kernel import Kernel
from rnnkit_compiler.backends.cpp.library import library_of
from rnnkit_compiler.ir.lowering import Lowered
from rnnkit_compiler.schedule.explanation import explain
from rnnkit_compiler.schedule.plan import KernelPlan


class Native(Backend):
    """Runs the steps in a kernel.

    Args:
        step: in the intermediate form.
        title: names the cell in the source.
        comment: the cell's equation, for the source.
        again: runs the same steps with torch's operations, for derivatives of derivatives.

    Raises:
        CompileError: there is no compiler, or it fails.
    """

    name = "cpp"

    def __init__(self, step: Lowered, title: str, comment: str, again: Backend) -> None:
        plan = KernelPlan(step)
        source = generate(plan, title, comment, step.dtype == torch.float64)
        with ThreadPoolExecutor(1) as pool:  # so that both are compiled at the same time, the first time
            shared = pool.submit(library_of, step.dtype)
            library = build(source.text)
            shared.result()
        kernel = Kernel(library, source, step.dtype)
        self._unrolling = Unrolling(plan, kernel, step.invariants, again)

    def run(self, tensors: Tensors, sequences: Sequences) -> Unrolled:
        """Step through time in the kernel."""
        return apply(self._unrolling, tensors, sequences)

    def explain(self) -> Iterator[str]:
        """Say what is fused, kept and deferred, and what it costs."""
        return explain(self._unrolling.plan)

    def is_worth_it(self, batch: int) -> bool:
        """Tell that it is, always."""
        return True
