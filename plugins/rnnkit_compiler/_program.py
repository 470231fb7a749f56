"""From a cell to what runs it: recorded, split by what it depends on, handed to the first backend that takes it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import embedding

import rnnkit
from rnnkit.errors import UsageError
from rnnkit_compiler._autocast import loop_dtypes
from rnnkit_compiler._candidates import ANY, Wanted, candidates, fast_products
from rnnkit_compiler._recorded import recorded_projected, recorded_whole
from rnnkit_compiler.backends.base.backend import Backend, RecordedStep, Refusal, Results, Tensors, Timeline
from rnnkit_compiler.ir.rules import is_cheap
from rnnkit_compiler.trace import draws
from rnnkit_compiler.trace.learned import Given, learns
from rnnkit_compiler.trace.paths import weights_at
from rnnkit_compiler.trace.projection import check_projection
from rnnkit_compiler.trace.recording import Recording, calls_for
from rnnkit_compiler.trace.script import Script
from rnnkit_compiler.trace.split import Depends, Split, dependence


@dataclass
class Program:
    """A step, recorded and split, and the backend that runs it."""

    recording: Recording
    split: Split
    once: Script
    """From the parameters to the backend's invariants, and what `ahead` reads of them."""

    ahead: Script | None
    """From the projection, all rows of all steps, to what the steps read of it."""

    backend: Backend
    reason: str
    """Why those asked before do not run it; empty if the first one does."""

    takes_input: bool = False
    """Whether the projection is in the recording, so that the step's part is the input itself."""

    tables: tuple[str, ...] = ()
    """The paths of buffers by which units are taken or code branches: it holds for a cell that has the same in them."""

    annealed: tuple[str, ...] | None = None
    """The floats that it reads at each call; None: nobody has asked for any."""

    _loop_dtypes: dict[tuple[object, ...], list[torch.dtype]] = field(default_factory=dict)

    def loop_dtypes(self, cell: rnnkit.Cell, prepared: rnnkit.Prepared) -> list[torch.dtype]:
        """Return the dtypes that outputs and last states have of the loop, under the autocast that is on, or off."""
        xs, state, masks = prepared
        forms = (masks.live is None, masks.restart is None, min(len(xs), 2 + len(state)), xs.dtype)
        casts = rnnkit.casts_automatically(xs.device)
        key = (torch.get_autocast_dtype(xs.device.type) if casts else None, *forms, *(tensor.dtype for tensor in state))
        if key not in self._loop_dtypes:
            self._loop_dtypes[key] = loop_dtypes(cell, prepared)
        return self._loop_dtypes[key]

    def project(self, cell: rnnkit.Cell, xs: Tensor) -> rnnkit.Projected:
        """Return what the steps read of the input, all steps at once."""
        if self.takes_input:
            return xs
        with fast_products(self.recording.elements * xs.shape[0] * xs.shape[1]):
            return cell.project(xs.view_as(xs))

    def run(
        self, cell: rnnkit.Cell, xs: Tensor, states: Sequence[Tensor], initial: Sequence[Tensor], timeline: Timeline
    ) -> Results:
        """Unroll: what depends on parameters alone and on the input alone first, then the steps."""
        return self.run_parts(cell, rnnkit.parts_of(self.project(cell, xs)), states, initial, timeline)

    def run_parts(
        self,
        cell: rnnkit.Cell,
        parts: Sequence[Tensor],
        states: Sequence[Tensor],
        initial: Sequence[Tensor],
        timeline: Timeline,
    ) -> Results:
        """Do so from what the projection has made, each (T, B, ...)."""
        weights = weights_at(cell, self.recording.weights)
        read, invariants = self.inputs(parts, (timeline.steps, timeline.batch), weights)
        results = self.backend.run(Tensors(read, states, initial, invariants), timeline)
        return self.as_learned(results, parts, states, initial, timeline)

    def as_learned(
        self,
        results: Results,
        parts: Sequence[Tensor],
        states: Sequence[Tensor],
        initial: Sequence[Tensor],
        timeline: Timeline,
    ) -> Results:
        """Return results that have gradients where the loop's have, of these parts of the projection and states."""
        if self.recording.learns_always or not torch.is_grad_enabled():
            return results
        of_parts, of_states, of_initial = ([one.requires_grad for one in given] for given in (parts, states, initial))
        given = Given(of_parts, of_states, of_initial, timeline.steps, timeline.lengths is not None)
        return _without_gradients(results, learns(self.recording.learned, given))

    def run_symbols(self, cell: rnnkit.Cell, symbols: Tensor, table: Tensor, prepared: rnnkit.Prepared) -> Results:
        """Unroll over the rows of a table (V, D) that symbols (T, B) name, each of which is projected once."""
        with fast_products(self.recording.elements * len(table)):
            projected = rnnkit.parts_of(cell.project(table.unsqueeze(1)))
        parts = [embedding(symbols, part.flatten(1)).view(*symbols.shape, *part.shape[2:]) for part in projected]
        timeline = Timeline.of(prepared.xs, prepared.masks)
        return self.run_parts(cell, parts, prepared.state, prepared.masks.initial, timeline)

    def inputs(
        self, parts: Sequence[Tensor], size: Sequence[int], tensors: Sequence[Tensor]
    ) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """Compute what the steps read of the input, and what is the same at every step, of the weights `tensors`.

        Args:
            parts: what the projection made, each (T, B, ...).
            size: T and B.
            tensors: parameters, buffers and the like, in the recording's order.
        """
        parts = [*parts, *draws.drawn(self.recording.draws, *size)]
        tensors = [_with_resolved_gradient(one) if one.requires_grad and one.is_complex() else one for one in tensors]
        made, count = self.once(0, *tensors, *self.recording.constants.values()), len(self.backend.invariants)
        return self._ahead(parts, made[count:], size), made[:count]

    def sums_of_weights(self) -> dict[int, tuple[int, int]] | None:
        """Say which invariants are sums of two weights, all of them by their places; None if others are computed.

        Then, too, it is None if the steps read something else than the input.
        """
        places = {number: place for place, number in enumerate(self.recording.weights.values())}
        invariants, sums = self.backend.invariants, {}
        for call in self.once.calls:
            is_sum = call.name == "add.Tensor" and not call.kwargs and len(call.reads) == 2
            if not is_sum or not places.keys() >= set(call.reads):
                return None
            sums[call.outputs[0]] = (places[call.reads[0]], places[call.reads[1]])
        reads_more = not self.takes_input or self.ahead is not None or self.recording.draws
        if reads_more or not {*places, *sums}.issuperset(invariants):
            return None
        return {invariants.index(number): pair for number, pair in sums.items() if number in invariants}

    def _ahead(self, parts: Sequence[Tensor], others: Sequence[Tensor], size: Sequence[int]) -> Sequence[Tensor]:
        """Compute what depends on the input alone, all steps' rows (T, B) at once."""
        known = dict(zip(self.recording.parts, parts, strict=True))
        if self.ahead is not None:
            results = self.ahead(size[0] * size[1], *(part.flatten(0, 1) for part in parts), *others)
            made = [number for number in self.split.parts if number not in known]
            known |= {n: tensor.view(*size, *tensor.shape[1:]) for n, tensor in zip(made, results, strict=True)}
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
        if self.annealed:
            yield f"read at each call, since it changes: {', '.join(self.annealed)}"
        yield "once a call, of the parameters alone: " + (", ".join(call.name for call in self.once.calls) or "nothing")
        project = "the products of project()" if self.takes_input else "project()"
        yield "once a sequence, of the input alone: " + ", ".join([project, *(call.name for call in ahead)])
        yield from draws.lines(self.recording.draws)
        yield f"at every step: {len(stepped)} operations, {len(recurrent)} of them on the state"
        yield from self.backend.explain()


def forced(program: "Program | Refusal", backend: str, cell: rnnkit.Cell) -> Program:
    """Return the program if it is by the backend that was asked for; raises UsageError if it is not, saying why."""
    if isinstance(program, Program) and program.backend.name == backend:
        return program
    raise UsageError(
        f"unroller 'compiled': backend={backend!r} cannot run cell {cell.name!r}: {program.reason}; "
        "leave backend out to have what can"
    )


def compose(
    cell: rnnkit.Cell,
    xs: Tensor,
    states: Sequence[Tensor],
    wanted: Wanted = ANY,
    narrow: bool = False,
    apart: bool = False,
) -> Program:
    """Make the program of a cell for such input (T, B, D) and states.

    Args:
        cell: whose steps are to be run.
        xs: like its input: width, dtype and device are read.
        states: like its states.
        wanted: backend and kernel; of any backend the first that takes the step.
        narrow: whether factors of products may be rounded to bfloat16.
        apart: whether the projection is to stay apart from the steps, and has to go row by row.

    Raises:
        NotRecordable: the step cannot be run from a recording.
    """
    *kernels, last = candidates(wanted.backend)
    devices = dict.fromkeys(tensor.device for tensor in (xs, *states, *cell.parameters(), *cell.buffers()))
    reasons = [_obstacle(candidate, None, devices, states[0].dtype) for candidate in kernels]
    able = [candidate for candidate, reason in zip(kernels, reasons, strict=True) if not reason]
    if apart:
        check_projection(cell, xs)
    whole = recorded_whole(cell, xs, states, narrow) if able and not apart else None
    if whole is not None:
        whole.kernel = wanted.kernel
    made = None if whole is None else _first(able, whole, devices)
    if whole is not None and isinstance(made, Backend):
        return _program(whole, made, "")
    step = recorded_projected(cell, xs, states, bool(able), narrow)
    step.kernel = wanted.kernel
    made = _first(able, step, devices)
    if isinstance(made, Backend):
        return _program(step, made, "")
    # why those that are for other devices do not run it says nothing where one for this device was asked
    reason = made.reason or "; ".join(filter(None, reasons)) if kernels else "the plan is asked for"
    made = _first([last], step, devices)
    assert isinstance(made, Backend)
    return _program(step, made, reason)


def _obstacle(
    candidate: type[Backend], step: RecordedStep | None, devices: Iterable[torch.device], dtype: torch.dtype
) -> str:
    """Say why a backend does not take a step whose tensors are on these devices; empty: it does."""
    return next(filter(None, (candidate.supports(step, device, dtype) for device in devices)), "")


def _first(backends: Iterable[type[Backend]], step: RecordedStep, devices: Iterable[torch.device]) -> Backend | Refusal:
    """Make the first backend that takes a step; a refusal with the reasons of all if none does."""
    reasons = []
    for candidate in backends:
        reason = _obstacle(candidate, step, devices, step.dtype)
        made = Refusal(reason) if reason else candidate.make(step)
        if isinstance(made, Backend):
            return made
        reasons.append(made.reason)
    return Refusal("; ".join(dict.fromkeys(reasons)))


def _program(step: RecordedStep, backend: Backend, reason: str) -> Program:
    """Write the scripts of what is done once and ahead."""
    recording, parted, invariants = step.recording, step.split, backend.invariants
    made = {number for call in parted.once for number in call.outputs if number is not None}
    tensors = [*recording.weights.values(), *recording.constants]
    others = sorted({number for call in parted.ahead for number in call.reads} & {*made, *tensors})
    calls = calls_for(parted.once, [*invariants, *others])
    once = Script(calls, recording, _once_each(tensors), [*invariants, *others])
    ahead = None
    if parted.ahead:
        new = [number for number in parted.parts if number not in recording.parts]
        ahead = Script(parted.ahead, recording, [*recording.parts, *others], new)
    tables = () if isinstance(step.lowered, Refusal) else step.lowered.tables
    compared = recording.asked.union(tables)
    paths = tuple(path for path, number in recording.weights.items() if number in compared)
    return Program(recording, parted, once, ahead, backend, reason, step.takes_input, paths)


def _without_gradients(results: Results, learn: Sequence[bool]) -> Results:
    """Return results of which some are of no graph, which they would keep: their gradients are zero."""
    ys, *last = (one if has else one.detach() for one, has in zip((results[0], *results[1]), learn, strict=True))
    return ys, tuple(last)


def _with_resolved_gradient(tensor: Tensor) -> Tensor:
    """Return complex numbers whose gradient is no view of its conjugate, which optimisers refuse and sums are not."""
    return torch.view_as_complex(torch.view_as_real(tensor.resolve_conj()))


def _once_each(numbers: Iterable[int]) -> list[str | int]:
    """Return the numbers, but a name of no use for each that was there before: tied tensors have one number."""
    named: list[str | int] = []
    for k, number in enumerate(numbers):
        named.append(f"_tied{k}" if number in named else number)
    return named
