"""The Triton backend: kernels for GPUs, generated from the same stages as those in C++."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache, partial
from typing import NamedTuple

import torch

from rnnkit_compiler.backends.base import autograd
from rnnkit_compiler.backends.base.backend import Backend, RecordedStep, Refusal, Results, Tensors, Timeline, beyond
from rnnkit_compiler.backends.base.calls import Calls
from rnnkit_compiler.backends.base.forms import Forms, Steps
from rnnkit_compiler.backends.base.graphs import CHUNK
from rnnkit_compiler.backends.base.recurrence import Recurrence
from rnnkit_compiler.backends.torch.backend import TorchOperations
from rnnkit_compiler.backends.triton.availability import is_interpreted, obstacle_on, triton_version
from rnnkit_compiler.backends.triton.code.legend import legend
from rnnkit_compiler.backends.triton.code.operations import CODE
from rnnkit_compiler.backends.triton.cost import GRID, KINDS, SEQUENCE, Choice, choose, is_crowded, ranked, time_of
from rnnkit_compiler.backends.triton.kernels import Kernels
from rnnkit_compiler.backends.triton.origins import Origins
from rnnkit_compiler.backends.triton.poisoned import PoisonedRuntime
from rnnkit_compiler.backends.triton.runtime import TritonRuntime
from rnnkit_compiler.backends.triton.trust import INSTEAD, VERDICTS, NothingElse, Trust
from rnnkit_compiler.ir.graph import needed
from rnnkit_compiler.ir.lowered import Lowered
from rnnkit_compiler.ir.operations import OPERATIONS
from rnnkit_compiler.ir.whole_numbers import INTEGERS
from rnnkit_compiler.schedule.explanation import explain
from rnnkit_compiler.schedule.plan import KernelPlan
from rnnkit_compiler.schedule.sharing import StepWork

logger = logging.getLogger("rnnkit")

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)

STATES = (*DTYPES, torch.complex64, torch.complex128, torch.bool, *INTEGERS)
"""What a state may be."""


MOST_BATCHES = 1024
"""Numbers of rows that the ranks of kernels are kept for."""

MOST_ROWS = 2**31 - 1
"""Rows of all steps together: kernels count them in 32 bits, and numbers in 64."""

CHUNK_OF_A_TRIAL = 2
"""Steps that are recorded as one in a trial, so that a chunk of it is tried, and what is left of a call."""


class Compared(NamedTuple):
    """The kernels of a kind, and whether they are to be trusted."""

    calls: Calls
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
        equation = [step.comment, ""] if step.comment else []
        comment = "\n".join([*equation, *legend(plan, step.recording)])
        self._kernels = Kernels(plan, step.device, step.title, comment, step.narrow)
        self._origins = Origins(step, self.invariants)
        self._fallback = TorchOperations(step, self.invariants, defer=False)
        self._plan = TorchOperations(step, self.invariants, defer=True)
        self._known = cache(self._compared)
        self._choices = lru_cache(MOST_BATCHES)(self._ranked)
        self._tells_of_spills = False
        """Whether the user knows that torch's operations run for want of registers."""

    def _by_kind(self, kind: str, crowded: bool) -> Compared:
        """Return what runs the steps in kernels of a kind, and the trust in it; `crowded` as `is_crowded` has it."""
        return self._known(kind, crowded, self._kernels.rounds_to_tf32)

    def _compared(self, kind: str, crowded: bool, rounds_to_tf32: bool) -> Compared:
        steps, fallback = self._step, self._fallback

        def before(rest: Steps, runtime: TritonRuntime) -> Calls:
            return Calls(Recurrence(self._schedule, runtime, rest, Forms(steps)))

        used = before(fallback, TritonRuntime(self._kernels, kind, CHUNK, False))
        tried = before(NothingElse(), PoisonedRuntime(self._kernels, kind, CHUNK_OF_A_TRIAL, crowded))

        def kernels(tensors: Tensors, timeline: Timeline) -> Results:
            return autograd.apply(tried, tensors, timeline)

        rounded = steps.narrow or rounds_to_tf32
        own = f"{kind!r}{', several blocks a program' if crowded else ''}"
        title = f"cell {steps.title!r} by kernel {own}"
        texts, spilled = (lambda: [*self._kernels.texts(), own]), partial(self._kernels.spilled, kind)
        ways = (kernels, fallback.run)
        return Compared(used, Trust(title, texts, steps.device, self._origins, ways, rounded, spilled))

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
        """Step through time in the first kind of kernels that is to be trusted and spills nothing.

        A kind that is asked for by name runs though it spills. Torch's operations do if no kind may run, or if there
        are more rows than kernels count.
        """
        if timeline.steps * timeline.batch > MOST_ROWS:
            return self._plan.run(tensors, timeline)
        choices, spilling = self._choices(timeline.batch), []
        for choice, next_one in zip(choices, (*choices[1:], None), strict=True):
            calls, trust = self._by_kind(choice.kind, is_crowded(choice, self._work))
            instead = INSTEAD if next_one is None else f"kernel {next_one.kind!r} is tried instead"
            if trust.is_earned(tensors, instead):
                if self._step.kernel or not trust.spills:
                    return autograd.apply(calls, tensors, timeline)
                spilling.append(choice.kind)
        if spilling and not self._tells_of_spills:
            self._tells_of_spills = True
            logger.warning("cell %r: %s; %s", self._step.title, _spill(spilling), INSTEAD)
        return self._plan.run(tensors, timeline)

    @property
    def _work(self) -> StepWork:
        return self._by_kind(SEQUENCE, False).calls.recurrence.work

    def _ranked(self, batch: int) -> list[Choice]:
        """Return the kind of kernels that is wanted, or all, the fastest for so many rows by the cost model first."""
        given = self._work, self._kernels.offered, batch, self._kernels.processors
        return ranked(*given) if self._step.kernel is None else [choose(self._step.kernel, *given)]

    def nanoseconds(self, steps: int, batch: int) -> float:
        """Return the time of the kind of kernels that comes first, by the cost model."""
        return steps * time_of(self._choices(batch)[0], self._work, batch, self._kernels.processors)

    def explain(self) -> Iterator[str]:
        """Say what is fused, kept and deferred, and what it costs."""
        wanted = self._step.kernel
        yield f"kernel: {wanted or 'the fastest of ' + ', '.join(KINDS) + ' by the rows of the batch'}"
        for kind in KINDS if wanted is None else (wanted,):
            yield f"trust in {kind}: {self._by_kind(kind, False).trust.explain()}"
            if kind == GRID:
                yield f"trust in {kind}, several blocks a program: {self._by_kind(kind, True).trust.explain()}"
        if self._tells_of_spills:
            yield f"{INSTEAD}, where no kind of kernels is right and spills nothing"
        yield from explain(self._schedule)

    def is_worth_it(self, steps: int, batch: int) -> bool:
        """Tell that it is, always."""
        return True

    @classmethod
    def facts(cls) -> Mapping[str, str]:
        """Tell the version of Triton, how many programs were compared on this machine, and which are not used."""
        found = [*VERDICTS.all()]
        refused = sorted(f"{one.what}: {one.reason}" for one in found if one.reason)
        programs = f"{len(found)} program{'s' * (len(found) != 1)}"
        counted = f"{programs} compared with torch's operations, {len(refused)} not used"
        listed = {f"triton kernels not used, {k}": line for k, line in enumerate(refused, 1)}
        return {"triton": triton_version() or "not installed", "triton kernels": counted, **listed}

    @classmethod
    def clear_cache(cls) -> int:
        """Forget all verdicts; return their bytes."""
        return VERDICTS.clear()


def _spill(kinds: Sequence[str]) -> str:
    """Say that kernels of some kinds spill registers."""
    named = ", ".join(map(repr, kinds))
    return f"kernel{'s' * (len(kinds) > 1)} {named} spill{'s' * (len(kinds) == 1)} registers in every form"
