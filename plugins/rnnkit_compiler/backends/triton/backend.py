"""The Triton backend: kernels for GPUs, generated from the same stages as those in C++."""

from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import NamedTuple

import torch

from rnnkit_compiler.backends.base import autograd
from rnnkit_compiler.backends.base.backend import Backend, RecordedStep, Refusal, Results, Tensors, Timeline, beyond
from rnnkit_compiler.backends.base.forms import Forms
from rnnkit_compiler.backends.base.graphs import CHUNK
from rnnkit_compiler.backends.base.recurrence import Recurrence
from rnnkit_compiler.backends.torch.backend import TorchOperations
from rnnkit_compiler.backends.triton.availability import is_interpreted, obstacle_on, triton_version
from rnnkit_compiler.backends.triton.code.legend import legend
from rnnkit_compiler.backends.triton.code.operations import CODE
from rnnkit_compiler.backends.triton.cost import KINDS, SEQUENCE, choose, ranked, time_of
from rnnkit_compiler.backends.triton.kernels import Kernels
from rnnkit_compiler.backends.triton.runtime import TritonRuntime
from rnnkit_compiler.backends.triton.trust import INSTEAD, Trust, folder, verdicts
from rnnkit_compiler.ir.graph import needed
from rnnkit_compiler.ir.lowered import Lowered
from rnnkit_compiler.ir.operations import OPERATIONS
from rnnkit_compiler.ir.whole_numbers import INTEGERS
from rnnkit_compiler.schedule.explanation import explain
from rnnkit_compiler.schedule.plan import KernelPlan

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)

STATES = (*DTYPES, torch.complex64, torch.complex128, torch.bool, *INTEGERS)
"""What a state may be."""


MOST_BATCHES = 1024
"""Numbers of rows that the ranks of kernels are kept for."""

CHUNK_OF_A_TRIAL = 2
"""Steps that are recorded as one in a trial, so that a chunk of it is tried, and what is left of a call."""


class Compared(NamedTuple):
    """The kernels of a kind, and whether they are to be trusted."""

    recurrence: Recurrence
    trust: Trust


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
        self._step, self._schedule = step, plan
        comment = "\n".join([step.comment, "", *legend(plan, step.recording.weights)])
        self._kernels = Kernels(plan, step.device, step.title, comment, step.narrow)
        self._fallback = TorchOperations(step, self.invariants, defer=False)
        self._plan = TorchOperations(step, self.invariants, defer=True)
        self._by_kind = cache(self._compared)
        self._kinds = lru_cache(MOST_BATCHES)(self._ranked)

    def _compared(self, kind: str) -> Compared:
        """Return what runs the steps in kernels of a kind, and the trust in it."""
        steps, fallback = self._step, self._fallback
        used, tried = (
            Recurrence(self._schedule, TritonRuntime(self._kernels, kind, chunk), fallback, Forms(steps))
            for chunk in (CHUNK, CHUNK_OF_A_TRIAL)
        )

        def kernels(tensors: Tensors, timeline: Timeline) -> Results:
            return autograd.apply(tried, tensors, timeline)

        rounded = steps.narrow or self._kernels.rounds_to_tf32
        title = f"cell {steps.title!r} by kernel {kind!r}"
        trust = Trust(title, lambda: [*self._kernels.texts(), kind], steps.device, kernels, fallback.run, rounded)
        return Compared(used, trust)

    @classmethod
    def volunteers(cls) -> bool:
        """Tell whether kernels are compiled: who wants them interpreted asks for them by name."""
        return not is_interpreted()

    @classmethod
    def supports(cls, step: RecordedStep | None, device: torch.device, dtype: torch.dtype) -> str:
        """Return why there is no kernel: of the device, or of what the step is made of."""
        return obstacle_on(device) or beyond(step, dtype, STATES, DTYPES)

    @classmethod
    def make(cls, step: RecordedStep) -> Backend | Refusal:
        """Plan the kernels; a refusal where an operation has no counterpart in Triton."""
        assert isinstance(step.lowered, Lowered)
        plan = KernelPlan(step.lowered)
        results = [step.lowered.output, *step.lowered.next_states, *plan.gradients]
        missing = {node.op for node in needed(results) if node.op in OPERATIONS and node.op not in CODE}
        if missing:
            return Refusal(f"Triton has no {', '.join(sorted(missing))}")
        dtype = step.lowered.dtype
        if dtype.itemsize < 4 and any(node.op == "nextafter" for node in needed(results)):
            name = str(dtype).removeprefix("torch.")
            return Refusal(f"Triton has no nextafter in {name}, which is computed in float32")
        return cls(step, plan)

    def run(self, tensors: Tensors, timeline: Timeline) -> Results:
        """Step through time in the first kind of kernels that is to be trusted; if none is, by torch's operations."""
        kinds = self._kinds(timeline.batch)
        for kind, next_one in zip(kinds, (*kinds[1:], None), strict=True):
            recurrence, trust = self._by_kind(kind)
            if trust.is_earned(tensors, INSTEAD if next_one is None else f"kernel {next_one!r} is tried instead"):
                return autograd.apply(recurrence, tensors, timeline)
        return self._plan.run(tensors, timeline)

    def _ranked(self, batch: int) -> tuple[str, ...]:
        """Return the kind of kernels that is wanted, or all, the fastest for so many rows by the cost model first."""
        if self._step.kernel is not None:
            return (self._step.kernel,)
        work = self._by_kind(SEQUENCE).recurrence.work
        return tuple(choice.kind for choice in ranked(work, self._kernels.offered, batch, self._kernels.processors))

    def nanoseconds(self, steps: int, batch: int) -> float:
        """Return the time of the kind of kernels that comes first, by the cost model."""
        work, processors = self._by_kind(SEQUENCE).recurrence.work, self._kernels.processors
        choice = choose(self._kinds(batch)[0], work, self._kernels.offered, batch, processors)
        return steps * time_of(choice, work, batch, processors)

    def explain(self) -> Iterator[str]:
        """Say what is fused, kept and deferred, and what it costs."""
        wanted = self._step.kernel
        yield f"kernel: {wanted or 'the fastest of ' + ', '.join(KINDS) + ' by the rows of the batch'}"
        for kind in KINDS if wanted is None else (wanted,):
            yield f"trust in {kind}: {self._by_kind(kind).trust.explain()}"
        yield from explain(self._schedule)

    def is_worth_it(self, steps: int, batch: int) -> bool:
        """Tell that it is, always."""
        return True

    @classmethod
    def facts(cls) -> Mapping[str, str]:
        """Tell the version of Triton."""
        found = [*verdicts()]
        refused = [f"{what}: {reason}" for what, reason in found if reason]
        counted = f"{len(found)} programs compared with torch's operations, {len(refused)} of them not used"
        return {"triton": triton_version() or "not installed", "triton kernels": "; ".join([counted, *refused])}

    @classmethod
    def clear_cache(cls) -> int:
        """Forget all verdicts; return their bytes."""
        paths = [*folder().glob("*.json")] if folder().is_dir() else []
        size = sum(path.stat().st_size for path in paths)
        for path in paths:
            path.unlink(missing_ok=True)
        return size
