"""The Triton backend: kernels for GPUs, generated from the same stages as those in C++."""

from collections.abc import Iterator, Mapping

import torch

from rnnkit_compiler.backends.base import autograd
from rnnkit_compiler.backends.base.backend import Backend, RecordedStep, Refusal, Results, Tensors, Timeline
from rnnkit_compiler.backends.base.forms import Forms
from rnnkit_compiler.backends.base.recurrence import Recurrence
from rnnkit_compiler.backends.torch.backend import TorchOperations
from rnnkit_compiler.backends.triton.availability import is_interpreted, obstacle_on, triton_version
from rnnkit_compiler.backends.triton.code.operations import CODE
from rnnkit_compiler.backends.triton.kernels import KINDS, SEQUENCE, Kernels
from rnnkit_compiler.backends.triton.runtime import TritonRuntime
from rnnkit_compiler.ir.graph import needed
from rnnkit_compiler.ir.lowered import Lowered
from rnnkit_compiler.ir.operations import OPERATIONS
from rnnkit_compiler.schedule.explanation import explain
from rnnkit_compiler.schedule.plan import KernelPlan

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)

STATES = (*DTYPES, torch.complex64, torch.complex128, torch.bool, torch.int32, torch.int64)
"""What a state may be."""


class Triton(Backend):
    """Runs the steps in kernels of Triton's.

    Args:
        step: one that is lowered.
        plan: of its kernels.
    """

    name = "triton"
    kernels = KINDS

    def __init__(self, step: RecordedStep, plan: KernelPlan) -> None:
        self.invariants = plan.step.invariants
        self._kernels = Kernels(plan, step.device, step.title, step.comment, step.narrow)
        self.kind = step.kernel or SEQUENCE
        fallback = TorchOperations(step, self.invariants, defer=False)
        self._recurrence = Recurrence(plan, TritonRuntime(self._kernels, self.kind), fallback, Forms(step))

    @classmethod
    def volunteers(cls) -> bool:
        """Tell whether kernels are compiled: who wants them interpreted asks for them by name."""
        return not is_interpreted()

    @classmethod
    def supports(cls, step: RecordedStep | None, device: torch.device, dtype: torch.dtype) -> str:
        """Return why there is no kernel: of the device, or of what the step is made of."""
        reason = obstacle_on(device)
        if reason:
            return reason
        if dtype not in STATES:
            return f"its state is {dtype}"
        if step is None:
            return ""
        if isinstance(step.lowered, Refusal):
            return step.lowered.reason
        return "" if step.lowered.dtype in DTYPES else f"its numbers are {step.lowered.dtype}"

    @classmethod
    def make(cls, step: RecordedStep) -> Backend | Refusal:
        """Plan the kernels; a refusal where an operation has no counterpart in Triton."""
        assert isinstance(step.lowered, Lowered)
        plan = KernelPlan(step.lowered)
        results = [step.lowered.output, *step.lowered.next_states, *plan.gradients]
        missing = {node.op for node in needed(results) if node.op in OPERATIONS and node.op not in CODE}
        if missing:
            return Refusal(f"Triton has no {', '.join(sorted(missing))}")
        return cls(step, plan)

    def run(self, tensors: Tensors, timeline: Timeline) -> Results:
        """Step through time in the kernels."""
        return autograd.apply(self._recurrence, tensors, timeline)

    def explain(self) -> Iterator[str]:
        """Say what is fused, kept and deferred, and what it costs."""
        yield f"kernel: {self.kind}"
        yield from explain(self._recurrence.plan)

    def is_worth_it(self, batch: int) -> bool:
        """Tell that it is, always."""
        return True

    @classmethod
    def facts(cls) -> Mapping[str, str]:
        """Tell the version of Triton."""
        return {"triton": triton_version() or "not installed"}
