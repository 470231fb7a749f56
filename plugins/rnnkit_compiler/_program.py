"""From a cell to what runs it: recorded, split by what it depends on, handed to the first backend that takes it."""

import inspect
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

import rnnkit
from rnnkit_compiler.backends.base.backend import Backend, Sequences, Tensors, Unrolled
from rnnkit_compiler.backends.cpp.backend import Native
from rnnkit_compiler.backends.cpp.building.compilation import CompileError
from rnnkit_compiler.backends.cpp.linear import LEAST, FastProducts
from rnnkit_compiler.backends.torch.backend import LEAST as LEAST_HERE
from rnnkit_compiler.backends.torch.backend import LEAST_ELSEWHERE, TorchSteps
from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.rules import RULES, is_cheap
from rnnkit_compiler.ir.values import NotLowerable
from rnnkit_compiler.trace.projection import check_projection, of_one_step
from rnnkit_compiler.trace.record import Nest, record
from rnnkit_compiler.trace.recording import NotRecordable, Recording, Ref, calls_for
from rnnkit_compiler.trace.script import Script
from rnnkit_compiler.trace.split import Depends, Split, dependence, split


@dataclass
class Program:
    """A step, recorded and split, and the backend that runs it."""

    recording: Recording
    split: Split
    invariants: list[int]
    """The numbers, in the recording, of the tensors that are the same at every step."""

    once: Script
    """From the parameters to the invariants, and what `ahead` reads of them."""

    ahead: Script | None
    """From the projection, all rows of all steps, to what the steps read of it."""

    backend: Backend
    reason: str
    """Why the native backend does not run it; empty if it does."""

    takes_input: bool = False
    """Whether the projection is in the recording, so that the step's part is the input itself."""

    def _project(self, cell: rnnkit.Cell, xs: Tensor) -> Sequence[Tensor]:
        """Give what the steps read of the input, all steps at once."""
        if self.takes_input:
            return (xs,)
        with FastProducts() if self.recording.elements * xs.shape[0] * xs.shape[1] >= LEAST else nullcontext():
            return rnnkit.parts_of(cell.project(xs.view_as(xs)))

    def run(
        self,
        cell: rnnkit.Cell,
        xs: Tensor,
        states: Sequence[Tensor],
        initial: Sequence[Tensor],
        sequences: Sequences,
    ) -> Unrolled:
        """Unroll: what depends on parameters alone and on the input alone first, then the steps."""
        parts = self._project(cell, xs)
        tensors = [tensor_at(cell, path) for path in self.recording.weights]
        found = self.once(0, *tensors, *self.recording.constants.values())
        invariants, others = found[: len(self.invariants)], found[len(self.invariants) :]
        parts = self._ahead(parts, others, sequences)
        return self.backend.run(Tensors(parts, states, initial, invariants), sequences)

    def _ahead(self, parts: Sequence[Tensor], others: Sequence[Tensor], sequences: Sequences) -> list[Tensor]:
        """Compute what depends on the input alone, all steps' rows at once."""
        known = dict(zip(self.recording.parts, parts, strict=True))
        if self.ahead is not None:
            rows = sequences.steps * sequences.batch
            found = self.ahead(rows, *(part.flatten(0, 1) for part in parts), *others)
            made = [number for number in self.split.parts if number not in known]
            size = (sequences.steps, sequences.batch)
            known |= {n: tensor.view(*size, *tensor.shape[1:]) for n, tensor in zip(made, found, strict=True)}
        return [known[number] for number in self.split.parts]

    def explain(self) -> Iterator[str]:
        """Say how the cell is run, line by line."""
        yield f"backend: {self.backend.name}"
        if self.reason:
            yield f"no native kernel: {self.reason}"
        ahead, core = self.split.ahead, self.split.core
        depends = dependence(self.recording, [*self.split.once, *ahead, *core])
        recurrent = [call for call in core if any(depends[k] is Depends.STATE for k in call.reads)]
        stepped = [call for call in core if call in recurrent or is_cheap(call)]
        yield "once a call, of the parameters alone: " + (", ".join(call.name for call in self.once.calls) or "nothing")
        project = "the products of project()" if self.takes_input else "project()"
        yield "once a sequence, of the input alone: " + ", ".join([project, *(call.name for call in ahead)])
        yield f"at every step: {len(stepped)} operations, {len(recurrent)} of them on the state"
        yield from self.backend.explain()


def tensor_at(cell: torch.nn.Module, path: str) -> Tensor:
    """Give the parameter or buffer of a dotted path."""
    *parents, name = path.split(".")
    module = cell
    for parent in parents:
        module = module._modules[parent]  # type: ignore[assignment]
    found = module._parameters.get(name)
    tensor = module._buffers[name] if found is None else found
    assert tensor is not None
    return tensor


def compose(cell: rnnkit.Cell, xs: Tensor, states: Sequence[Tensor], native: bool = True) -> Program:
    """Make the program of a cell for such input (T, B, D) and states.

    Args:
        cell: whose steps are to be run.
        xs: like its input: width, dtype and device are read.
        states: like its states.
        native: whether a kernel may run it.

    Raises:
        NotRecordable: the step cannot be run from a recording.
    """
    reason = _why_not_native(cell, xs, states) if native else "the plan is asked for"
    whole = None if reason else _whole(cell, xs, states)
    return whole or _projected(cell, xs, states, reason)


def _why_not_native(cell: rnnkit.Cell, xs: Tensor, states: Sequence[Tensor]) -> str:
    """Say why no kernel may touch such tensors, wherever the others are; empty: one may."""
    for tensor in (xs, *states, *cell.parameters(), *cell.buffers()):
        if tensor.device.type != "cpu":
            return f"kernels run on the CPU, and there is a tensor on {tensor.device}"
    return ""


def _whole(cell: rnnkit.Cell, xs: Tensor, states: Sequence[Tensor]) -> Program | None:
    """Make the program of projection and step in one, where all that waits for no state are products of the input."""
    try:
        with torch.random.fork_rng(devices=[]):
            check_projection(cell, xs)
            recording = record(cell, [xs], states, of_one_step)
        found = split(recording, lambda call: True)
        step = Lowering(recording, found).run(RULES)
    except (NotRecordable, NotLowerable):
        return None
    if step.computes_ahead:
        return None
    try:
        again = _torch_steps(recording, found, step.invariants, defer=False)
        return _program(recording, found, step.invariants, Native(step, cell.name, equation_of(cell), again), "", True)
    except CompileError:
        return None


def _projected(cell: rnnkit.Cell, xs: Tensor, states: Sequence[Tensor], reason: str) -> Program:
    """Make the program of the step alone; the projection is left to the cell.

    A reason says why no kernel may run it.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        projected = cell.project(xs[:1].detach())
    parts = rnnkit.parts_of(projected)
    recording = record(cell, parts, states, nesting(projected))
    found = split(recording, is_cheap)
    try:
        if reason:
            raise NotLowerable(reason)
        step = Lowering(recording, found).run(RULES)
        again = _torch_steps(recording, found, step.invariants, defer=False)
        native = Native(step, cell.name, equation_of(cell), again)
        return _program(recording, found, step.invariants, native, "")
    except (NotLowerable, CompileError) as error:
        least = LEAST_HERE if states[0].device.type == "cpu" else LEAST_ELSEWHERE
        steps = _torch_steps(recording, found, found.invariants, True, least)
        return _program(recording, found, found.invariants, steps, str(error))


def _torch_steps(
    recording: Recording, found: Split, invariants: list[int], defer: bool, least: int = LEAST_HERE
) -> TorchSteps:
    # What a backend takes may come before what the recorded step reads, as a weight before its transpose.
    late = calls_for(found.once, found.invariants, frozenset(invariants))
    inputs = [*found.parts, *recording.states, *invariants]
    script = Script([*late, *found.core], recording, inputs, [recording.output, *recording.next_states], invariants)
    products = [call.args[-1] for call in found.core if call.name in ("mm.default", "addmm.default")]
    multiplied = {argument.number for argument in products if isinstance(argument, Ref)}
    places = [k for k, number in enumerate(invariants) if number in multiplied]
    elements = sum(torch.Size(recording.shapes[invariants[place]]).numel() for place in places)
    return TorchSteps(script, places, elements, defer, least)


def _program(
    recording: Recording, found: Split, invariants: list[int], backend: Backend, reason: str, takes_input: bool = False
) -> Program:
    """Write the scripts of what is done once and ahead."""
    made = {number for call in found.once for number in call.outputs if number is not None}
    tensors = [*recording.weights.values(), *recording.constants]
    others = sorted({number for call in found.ahead for number in call.reads} & {*made, *tensors})
    calls = calls_for(found.once, [*invariants, *others])
    once = Script(calls, recording, _once_each(tensors), [*invariants, *others])
    ahead = None
    if found.ahead:
        new = [number for number in found.parts if number not in recording.parts]
        ahead = Script(found.ahead, recording, [*recording.parts, *others], new)
    return Program(recording, found, invariants, once, ahead, backend, reason, takes_input)


def _once_each(numbers: Iterable[int]) -> list[str | int]:
    """Give the numbers, but a name of no use for each that was there before: tied tensors have one number."""
    named: list[str | int] = []
    for k, number in enumerate(numbers):
        named.append(f"_tied{k}" if number in named else number)
    return named


def nesting(projected: rnnkit.Projected) -> Nest:
    """Return the function that puts a list of parts into the form of `projected`."""

    def nest(cell: rnnkit.Cell, parts: Sequence[Tensor]) -> rnnkit.Projected:
        left = iter(parts)
        return rnnkit.map_parts(lambda _: next(left), projected)

    return nest


def equation_of(cell: rnnkit.Cell) -> str:
    """Give the first indented block of the module's docstring: in rnnkit's own cells, the equation."""
    module = sys.modules.get(type(cell).__module__)
    block: list[str] = []
    for line in (inspect.getdoc(module) or "").splitlines():
        if line.startswith("    "):
            block.append(line[4:])
        elif block and line.strip():
            break
    return "\n".join(block)
