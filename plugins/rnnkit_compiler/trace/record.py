"""Recording a step: it is run three times on small tensors, and what was noted is held to what came out."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

import rnnkit
from rnnkit.errors import first_line
from rnnkit_compiler.trace.asked import LARGEST, asked_by, check_answered
from rnnkit_compiler.trace.conditions import hold
from rnnkit_compiler.trace.draws import is_ordered, set_apart, with_rows_first
from rnnkit_compiler.trace.example import on_trial
from rnnkit_compiler.trace.examples import Examples, examples_of, otherwise
from rnnkit_compiler.trace.foreign_generators import Drawn, generators_in
from rnnkit_compiler.trace.holdings import of_use
from rnnkit_compiler.trace.kinds import REMEMBERING
from rnnkit_compiler.trace.naming import author_line_of
from rnnkit_compiler.trace.projection import Nest, nesting
from rnnkit_compiler.trace.put_back import put_back
from rnnkit_compiler.trace.random_states import DRAWING, kept, others_kept
from rnnkit_compiler.trace.reach import Reach
from rnnkit_compiler.trace.recording import NotRecordable, Recording, WritingStep
from rnnkit_compiler.trace.rewritten import Rewriting
from rnnkit_compiler.trace.rows import joined
from rnnkit_compiler.trace.saved_tensors import shielded
from rnnkit_compiler.trace.solvers import with_checks
from rnnkit_compiler.trace.trials import Trials, stand_ins
from rnnkit_compiler.trace.uncompiled import are_scripted, without_dynamo, without_scripts
from rnnkit_compiler.trace.unread import check_followed, check_written_first
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

HIDDEN = {
    "TorchScript": "step() calls a function of torch.jit.script, which hides its operations; leave the decorator out",
    "invalid python storage": "step() differentiates forwards, as torch.func.jvp does, which hides its operations",
    "SparseTensorImpl": "step() makes a sparse tensor; kernels read dense ones, as to_dense() makes",
    "SparseCsrTensorImpl": "step() makes a sparse tensor; kernels read dense ones, as to_dense() makes",
}
"""By words of torch's own error, what it comes from."""


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
    examples = examples_of(cell, parts, states)
    trials = Trials(cell, nest, may_write and not examples.meets_cell, {})
    try:
        return _record(trials, examples)
    except NotRecordable as reason:  # maybe for code of libraries that can be written another way
        rewriting = Rewriting()
        with rewriting:
            try:
                return _record(trials, examples)
            except NotRecordable as other:
                raise (other if rewriting.rewrote else reason) from None


def _record(trials: Trials, examples: Examples) -> Recording:
    cell = trials.cell
    try:
        with put_back(cell) as found:
            return _recorded(trials._replace(key=found.key), examples, found.reach or Reach(cell))
    except NotRecordable:
        raise
    except Exception as error:  # whatever it is: where the step is to blame, the loop says so of the user's own tensors
        known = (reason for words, reason in HIDDEN.items() if words in str(error))
        reason = NotRecordable(next(known, f"recording step() fails ({first_line(error)})"))
        raise reason.placed(author_line_of(error)) from error


def _recorded(trials: Trials, examples: Examples, reach: Reach) -> Recording:
    trials = trials._replace(tries_first=any(isinstance(one, REMEMBERING) for one in reach.opened.values()))
    with _surroundings(reach, examples.parts[0]), examples.generators:
        drawn = Drawn(generators_in(reach.opened.values()))
        all_, few = (trials.run(examples, rows) for rows in (ALL, FEW))  # all first: of them are the draws
        if kind := drawn.kind():
            raise NotRecordable(f"step() draws from a {kind} of Python's or NumPy's, which kernels do not")
        recording = joined(few.recording, all_.recording)
        recording.weights = of_use(recording, examples.weights, trials.cell)
        recording.tables = _tables(recording, examples.weights)
        recording.writes = tuple(sorted({*all_.recording.writes, *few.recording.writes}))
        check_answered(recording)
        others = otherwise(examples, asked_by(recording))
        with torch.no_grad():
            check_values(recording, few, trials.again(others, TWO, recording.writes))
        set_apart(recording)
        check_rows(recording, few, all_)
        check_gradients(recording, few)
        check_gradients(recording, trials.again(others, TWO, recording.writes))
        recording.calls = with_checks(recording.calls)
        recording.for_one_row = _is_for_one_row(recording, trials, examples)
        with_rows_first(recording)
        hold(recording)
        if recording.writes:
            _check_writes(recording, trials, examples, reach)
    if are_scripted(reach.opened.values()):
        if recording.draws:
            raise NotRecordable("step() draws random numbers beside a function of torch.jit.script")
        _check_scripts(trials, examples, few)
    return recording


def _check_writes(recording: Recording, trials: Trials, examples: Examples, reach: Reach) -> None:
    """Raise WritingStep unless no step depends on what another writes, and kernels may run all but the last."""
    paths = recording.writes
    check_followed(trials.cell, paths, reach)
    if recording.raises:  # or not, once for all steps
        raise WritingStep(paths, always=True)
    for grad, given, rows in ((True, examples, ALL), (False, otherwise(examples, asked_by(recording)), TWO)):
        with torch.set_grad_enabled(grad):
            check_written_first(trials.copy(stand_ins(given), paths), paths, partial(trials.step, given, rows))


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
    ways += [others_kept()] if not reach.packages.isdisjoint(DRAWING) else []
    ways += [without_scripts()] if are_scripted(reach.opened.values()) else []
    with ExitStack() as entered:
        for way in ways:
            entered.enter_context(way)
        yield


def _check_scripts(trials: Trials, examples: Examples, few: Run) -> None:
    """Raise NotRecordable if a step with functions that are compiled gives something else than as it was written."""
    with kept(examples.parts[0]), torch.no_grad(), on_trial(trials.cell) as tried:
        y, after = trials.step(examples, FEW, tried)
    for number, tensor in zip(few.recording.results, (y, *after), strict=True):
        torch.testing.assert_close(few.tensors[number].detach(), tensor, equal_nan=True)


def _is_for_one_row(recording: Recording, trials: Trials, examples: Examples) -> bool:
    """Tell whether the step does the same with a batch of one: a squeeze takes it, and some steps look for it."""
    try:
        check_gradients(recording, trials.again(examples, ONE, recording.writes))
        return True
    except Exception:  # whatever it is: the loop will say it of the user's own tensors
        return False


def record_projected(cell: rnnkit.Cell, xs: Tensor, states: Sequence[Tensor], may_write: bool = False) -> Recording:
    """Record one step of `cell`, from what it makes of `xs` (T, B, D); the projection is not in the recording."""
    with kept(xs), torch.no_grad(), on_trial(cell) as tried:
        projected = tried.project(xs[:1].detach())
    parts = rnnkit.parts_of(projected)
    recording = record(cell, parts, states, nesting(projected), may_write)
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
        if not tensor.is_floating_point() and not tensor.is_complex() and tensor.numel() <= LARGEST
    }
