"""Trials: runs of a step on copies of its cell, by which it is recorded."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

import rnnkit
from rnnkit_compiler.trace.asked import asked_by
from rnnkit_compiler.trace.examples import Examples
from rnnkit_compiler.trace.fingerprint import BESIDE
from rnnkit_compiler.trace.held import is_ordinary
from rnnkit_compiler.trace.holdings import with_held
from rnnkit_compiler.trace.learned import learned_from
from rnnkit_compiler.trace.projection import Nest
from rnnkit_compiler.trace.recorder import Recorder
from rnnkit_compiler.trace.recording import NotRecordable, Recording, WritingStep
from rnnkit_compiler.trace.unread import remove
from rnnkit_compiler.trace.untouched import Untouched
from rnnkit_compiler.trace.verification import TWO, Run
from rnnkit_compiler.trace.written import Written


class Trials(NamedTuple):
    """How a step is run to be recorded."""

    cell: rnnkit.Cell
    """Whose copies run."""

    nest: Nest
    """Puts parts into the form that the step takes."""

    may_write: bool
    """Whether it may write attributes."""

    keys: dict[tuple[str, ...], Hashable]
    """Those of copies that lack some attributes, before they run, where all have the same."""

    key: Hashable = None
    """The cell's own."""

    tries_first: bool = False
    """Whether it runs once before: what functions keep from then is made by no operation any more."""

    def run(self, examples: Examples, rows: tuple[int, ...], without: Sequence[str] = ()) -> Run:
        """Run the step on some rows of the examples under a recorder, on a copy that lacks some attributes."""
        recorder = Recorder(len(rows))
        try:
            return self._run(recorder, examples, rows, without)
        except NotRecordable as reason:
            reason.asked = asked_by(recorder.recording)
            raise

    def _run(self, recorder: Recorder, examples: Examples, rows: tuple[int, ...], without: Sequence[str]) -> Run:
        recorder.drawing.begin(examples.generators, rows)
        parts, states = _rows_of(examples, rows)
        held = _enter_weights(recorder, examples)
        recording = recorder.recording
        recording.parts = [recorder.enter(tensor) for tensor in parts]
        recording.states = [recorder.enter(tensor) for tensor in states]
        copied = self.copy(held, without)
        written = self._watched(copied, held, tuple(without))
        step = partial(self.step, examples, rows, copied)
        with Untouched(filter(is_ordinary, held.values())):
            if self.tries_first:
                step()
            with recorder:
                result = copied.step(self.nest(copied, parts), tuple(states))
            rnnkit.check_step(self.cell, result, tuple(states))
            y, after = result
            recorder.leave(y, after)
            recorder.drawing.end(after)
            recording.learned = learned_from([y, *after], parts, states)
            recording.writes = self._written(written, step)
        self._name(recording)
        return Run(recording, recorder.tensors, rows)

    def _watched(self, copied: rnnkit.Cell, held: Mapping[str, Tensor], without: tuple[str, ...]) -> Written:
        """Return what tells what a copy writes; its key takes a while to find, and mostly is that of the cell."""
        written = Written(copied, held, self.keys.get(without))
        if () in self.keys or (not without and written.before == self.key):
            self.keys[without] = written.before
        return written

    def again(self, examples: Examples, rows: tuple[int, ...], writes: Sequence[str]) -> Run:
        """Run the step so on a copy that lacks what it has written elsewhere; raises WritingStep if it writes else."""
        try:
            found = self.run(examples, rows, writes)
        except NotRecordable:
            raise
        except Exception as error:
            if not writes:
                raise
            raise WritingStep(tuple(writes), always=True) from error  # it needs what is not there
        if {*found.recording.writes} != {*writes}:
            raise WritingStep(tuple(sorted({*found.recording.writes, *writes})), always=True)
        return found

    def step(self, examples: Examples, rows: tuple[int, ...], copied: rnnkit.Cell) -> tuple[Tensor, rnnkit.State]:
        """Run the step of a copy of the cell, of which nothing is noted, and no number that it draws is missing."""
        parts, states = _rows_of(examples, rows)
        with examples.generators.unmoved():
            return copied.step(self.nest(copied, parts), tuple(states))

    def copy(self, held: Mapping[str, Tensor], without: Sequence[str]) -> rnnkit.Cell:
        """Return a copy of the cell, which other threads may be running, that uses these tensors."""
        copied = with_held(self.cell, held)
        remove(copied, without)
        return copied

    def _written(self, written: Written, step: Callable[[], object]) -> tuple[str, ...]:
        """Return the attributes that the step has written; raises WritingStep if it may not."""
        try:
            written.check(step)
        except WritingStep as found:
            if self.may_write and found.always and BESIDE not in found.paths:
                return found.paths
            raise
        return ()

    def _name(self, recording: Recording) -> None:
        """Have the tensors that the cell has names for called by those."""
        names = self.cell.state_names
        recording.names |= [(number, path) for path, number in recording.weights.items()]
        recording.names.setdefault(recording.output, "y")
        recording.names |= [*zip(recording.next_states, names, strict=True)]
        recording.names |= [*zip(recording.states, names, strict=True)]


def _rows_of(examples: Examples, rows: tuple[int, ...]) -> tuple[list[Tensor], list[Tensor]]:
    """Return parts and states of some rows of the examples."""
    given = (examples.parts, examples.states)
    parts, states = ([_given(tensor[list(rows)], rows == TWO) for tensor in tensors] for tensors in given)
    return parts, states


def stand_ins(examples: Examples) -> dict[str, Tensor]:
    """Return what stands for parameters, buffers and other tensors, for tied ones the same."""
    known = {id(tensor): tensor for tensor in examples.weights.values()}
    held = {key: tensor if key in examples.live else _stand_in(tensor) for key, tensor in known.items()}
    return {path: held[id(tensor)] for path, tensor in examples.weights.items()}


def _enter_weights(recorder: Recorder, examples: Examples) -> dict[str, Tensor]:
    """Number them, tied ones once; return what stands for them."""
    held, entered = stand_ins(examples), set()
    for path, tensor in examples.weights.items():
        if id(tensor) not in entered:
            entered.add(id(tensor))
            recorder.recording.weights[path] = recorder.enter(held[path], tensor)
    return held


def _stand_in(tensor: Tensor) -> Tensor:
    """Return the same numbers as a tensor that the step can do nothing to; a parameter for a parameter."""
    is_parameter = isinstance(tensor, torch.nn.Parameter)
    leaf = (tensor if is_parameter and not tensor.is_inference() else tensor.clone()).detach()
    leaf.requires_grad_(tensor.requires_grad)
    return torch.nn.Parameter(leaf, requires_grad=tensor.requires_grad) if is_parameter else leaf


def _given(tensor: Tensor, made: bool) -> Tensor:
    """Return a tensor as a call gives it, or as an earlier step made it: a step may ask for `h.is_leaf`."""
    leaf = tensor.detach().requires_grad_(tensor.is_floating_point() or tensor.is_complex())
    return leaf.clone() if made else leaf
