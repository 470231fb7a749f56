"""Recording a step: it is run three times on small tensors, and what was noted is held to what came out."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

import rnnkit
from rnnkit.errors import first_line
from rnnkit_compiler.trace.conditions import hold
from rnnkit_compiler.trace.draws import is_ordered, set_apart, with_rows_first
from rnnkit_compiler.trace.example import on_trial
from rnnkit_compiler.trace.examples import Examples, examples_of, otherwise
from rnnkit_compiler.trace.held import is_ordinary
from rnnkit_compiler.trace.holdings import of_use, with_held
from rnnkit_compiler.trace.kinds import REMEMBERING
from rnnkit_compiler.trace.naming import author_line_of
from rnnkit_compiler.trace.projection import Nest, nesting
from rnnkit_compiler.trace.put_back import put_back
from rnnkit_compiler.trace.random_states import kept, others_kept
from rnnkit_compiler.trace.reach import Reach
from rnnkit_compiler.trace.recorder import Recorder
from rnnkit_compiler.trace.recording import NotRecordable, Recording, WritingStep
from rnnkit_compiler.trace.rewritten import Rewriting
from rnnkit_compiler.trace.rows import joined
from rnnkit_compiler.trace.saved_tensors import shielded
from rnnkit_compiler.trace.solvers import with_checks
from rnnkit_compiler.trace.uncompiled import are_scripted, without_dynamo, without_scripts
from rnnkit_compiler.trace.unread import check_unread, remove
from rnnkit_compiler.trace.untouched import Untouched
from rnnkit_compiler.trace.verification import (
    ALL,
    FEW,
    ONE,
    TWO,
    Run,
    check_gradients,
    check_rows,
    check_values,
)
from rnnkit_compiler.trace.watching import Watching
from rnnkit_compiler.trace.written import Written

HIDDEN = {
    "TorchScript": "step() calls a function of torch.jit.script, which hides its operations; leave the decorator out",
    "invalid python storage": "step() differentiates forwards, as torch.func.jvp does, which hides its operations",
    "SparseTensorImpl": "step() makes a sparse tensor; kernels read dense ones, as to_dense() makes",
    "SparseCsrTensorImpl": "step() makes a sparse tensor; kernels read dense ones, as to_dense() makes",
}
"""By words of torch's own error, what it comes from."""

LARGEST_TABLE = 1 << 12
"""Elements of a buffer by which units may be taken: it is compared at every call."""


def record(
    cell: rnnkit.Cell, parts: Sequence[Tensor], states: Sequence[Tensor], nest: Nest, may_write: bool = False
) -> Recording:
    """Record one step of `cell`.

    Args:
        cell: whose step is recorded.
        parts: what `project` returned, flat, each (T, B, ...): shapes and dtypes are read.
        states: the state, each (B, ...): shapes and dtypes are read.
        nest: puts the parts into the form that `step` takes.
        may_write: whether each step may write attributes that none reads before that; see `Recording.writes`.

    Raises:
        NotRecordable: the step reads values, draws numbers, overwrites what others see, fails, or the like.
    """
    with put_back(cell):
        examples = examples_of(cell, parts, states)
        return _record_as_written(cell, examples._replace(may_write=may_write and not examples.meets_cell), nest)


def _record_as_written(cell: rnnkit.Cell, examples: Examples, nest: Nest) -> Recording:
    """Record the step; where that fails and code of libraries can be written another way, with that."""
    try:
        return _record(cell, examples, nest)
    except NotRecordable as reason:
        rewriting = Rewriting()
        with rewriting:
            try:
                return _record(cell, examples, nest)
            except NotRecordable as other:
                raise (other if rewriting.rewrote else reason) from None


def _record(cell: rnnkit.Cell, examples: Examples, nest: Nest) -> Recording:
    try:
        reach = Reach(cell)
        examples = examples._replace(tries_first=any(isinstance(one, REMEMBERING) for one in reach.opened.values()))
        with _surroundings(reach, examples.parts[0]), examples.generators:
            all_, few = (_run(cell, examples, rows, nest) for rows in (ALL, FEW))  # all first: of them are the draws
            recording = joined(few.recording, all_.recording)
            recording.weights = of_use(recording, examples.weights, cell)
            recording.tables = _tables(recording, examples.weights)
            recording.writes = tuple(sorted({*all_.recording.writes, *few.recording.writes}))
            if recording.writes:
                check_unread(cell, recording.writes, reach)
            others = otherwise(examples)._replace(without=recording.writes)
            with torch.no_grad():
                without_gradients = _run(cell, others, TWO, nest)
                check_values(recording, few, without_gradients)
            set_apart(recording)
            check_rows(recording, few, all_)
            check_gradients(recording, few)
            other = _run(cell, others, TWO, nest)
            check_gradients(recording, other)
            if not {*recording.writes}.issuperset((*other.recording.writes, *without_gradients.recording.writes)):
                raise WritingStep(recording.writes or other.recording.writes, always=True)
            recording.calls = with_checks(recording.calls)
            recording.for_one_row = _is_for_one_row(recording, cell, examples, nest)
            with_rows_first(recording)
            hold(recording)
            if recording.writes and (recording.draws or recording.raises):
                raise WritingStep(recording.writes, always=True)
        if are_scripted(reach.opened.values()):
            if recording.draws:
                raise NotRecordable("step() draws random numbers beside a function of torch.jit.script")
            _check_scripts(cell, examples, few, nest)
    except NotRecordable:
        raise
    except Exception as error:  # whatever it is: where the step is to blame, the loop says so of the user's own tensors
        known = (reason for words, reason in HIDDEN.items() if words in str(error))
        reason = NotRecordable(next(known, f"recording step() fails ({first_line(error)})"))
        raise reason.placed(author_line_of(error)) from error
    return recording


@contextmanager
def _surroundings(reach: Reach, like: Tensor) -> Iterator[None]:
    """Have a step run as it was written, with gradients, and leave random states as they are."""
    ways: list[AbstractContextManager[Any]] = [
        kept(like),
        torch.inference_mode(False),
        torch.enable_grad(),
        shielded(),
        without_dynamo(),
    ]
    ways += [Watching()] if reach.reads_past_torch else []
    ways += [others_kept()] if reach.draws else []
    ways += [without_scripts()] if are_scripted(reach.opened.values()) else []
    with ExitStack() as entered:
        for way in ways:
            entered.enter_context(way)
        yield


def _check_scripts(cell: rnnkit.Cell, examples: Examples, few: Run, nest: Nest) -> None:
    """Raise NotRecordable if a step with functions that are compiled gives something else than as it was written."""
    with kept(examples.parts[0]), torch.no_grad(), on_trial(cell) as tried:
        parts, states = ([tensor[list(FEW)] for tensor in given] for given in (examples.parts, examples.states))
        y, after = tried.step(nest(tried, parts), tuple(states))
    for number, tensor in zip(few.recording.results, (y, *after), strict=True):
        torch.testing.assert_close(few.tensors[number].detach(), tensor, equal_nan=True)


def _is_for_one_row(recording: Recording, cell: rnnkit.Cell, examples: Examples, nest: Nest) -> bool:
    """Tell whether the step does the same with a batch of one: a squeeze takes it, and some steps look for it."""
    try:
        check_gradients(recording, _run(cell, examples, ONE, nest))
        return True
    except Exception:  # whatever it is: the loop will say it of the user's own tensors
        return False


def record_projected(cell: rnnkit.Cell, xs: Tensor, states: Sequence[Tensor]) -> Recording:
    """Record one step of `cell`, from what it makes of `xs` (T, B, D); the projection is not in the recording."""
    with kept(xs), torch.no_grad(), on_trial(cell) as tried:
        projected = tried.project(xs[:1].detach())
    parts = rnnkit.parts_of(projected)
    recording = record(cell, parts, states, nesting(projected))
    if recording.draws and not all(is_ordered(part[0]) for part in parts):
        raise NotRecordable("step() draws random numbers, and project() returns what is transposed")
    return recording


def _tables(recording: Recording, weights: Mapping[str, Tensor]) -> dict[int, Tensor]:
    """Return the buffers of integers and booleans, by number."""
    paths = recording.weights.items()
    found = {number: weights[path] for path, number in paths if not weights[path].requires_grad}
    return {
        number: tensor.detach().cpu().clone()
        for number, tensor in found.items()
        if not tensor.is_floating_point() and not tensor.is_complex() and tensor.numel() <= LARGEST_TABLE
    }


def _run(cell: rnnkit.Cell, examples: Examples, rows: tuple[int, ...], nest: Nest) -> Run:
    """Run the step on some rows of the examples, under a recorder."""
    recorder = Recorder(len(rows))
    recorder.drawing.begin(examples.generators, rows)
    given = (examples.parts, examples.states)
    parts, states = ([_given(tensor[list(rows)], rows == TWO) for tensor in tensors] for tensors in given)
    held = _enter_weights(recorder, examples)
    recording = recorder.recording
    recording.parts = [recorder.enter(tensor) for tensor in parts]
    recording.states = [recorder.enter(tensor) for tensor in states]
    copied = with_held(cell, held)  # other threads may be running the cell itself
    remove(copied, examples.without)
    written = Written(copied, held, cell if examples.meets_cell else None)
    with Untouched(filter(is_ordinary, held.values())):
        if examples.tries_first:
            copied.step(nest(copied, [part.clone() for part in parts]), tuple(state.clone() for state in states))
        with recorder:
            result = copied.step(nest(copied, parts), tuple(states))
        rnnkit.check_step(cell, result, tuple(states))
        try:
            written.check(lambda: copied.step(nest(copied, parts), tuple(states)))
        except WritingStep as found:
            if not (examples.may_write and found.always):
                raise
            recording.writes = found.paths
    y, after = result
    recorder.leave(y, after)
    recorder.drawing.end(after)
    own = [*zip(recording.states, cell.state_names, strict=True)]
    recording.names |= [(number, path) for path, number in recording.weights.items()]
    recording.names.setdefault(recording.output, "y")
    recording.names |= [*zip(recording.next_states, cell.state_names, strict=True), *own]
    return Run(recording, recorder.tensors, rows)


def _enter_weights(recorder: Recorder, examples: Examples) -> dict[str, Tensor]:
    """Number the parameters, buffers and other tensors, tied ones once; return what stands for them."""
    held: dict[str, Tensor] = {}
    known: dict[int, Tensor] = {}
    for path, tensor in examples.weights.items():
        if id(tensor) not in known:
            known[id(tensor)] = tensor if id(tensor) in examples.live else _stand_in(tensor)
            recorder.recording.weights[path] = recorder.enter(known[id(tensor)], tensor)
        held[path] = known[id(tensor)]
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
