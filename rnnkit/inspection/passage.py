"""The passage: a subject is stepped through a sequence, and every step can be looked at and changed."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnkit.core.cell import Projected, State, starting_state, time_slices
from rnnkit.core.input_checks import check_input, check_step
from rnnkit.errors import UsageError
from rnnkit.inspection.subject import Part, Subject


class Visitor:
    """Looks at every step, or changes it; by itself it does neither."""

    def begin(self, part: Part, state: State) -> State:
        """Return the state with which a cell begins."""
        return state

    def before(self, part: Part, step: int, state: State) -> State:
        """Return the state that a step reads; `step` counts the cell's own steps from 0."""
        return state

    def during(self, part: Part, step: int) -> AbstractContextManager[Any]:
        """Return what surrounds the call of `step`."""
        return nullcontext()


class CellRun(NamedTuple):
    """What one cell did, in the order of its own steps: of a reverse one, from the end of the sequence."""

    part: Part
    projected: list[Projected]
    """What each step was given."""
    states: list[State]
    """What each step read, and the state after the last one: T + 1."""
    returned: list[State]
    """What each step returned: T."""
    outputs: list[Tensor]
    """(B, O) a step."""

    def in_time(self, values: list[Any]) -> list[Any]:
        """Bring what is in the order of the cell's own steps into that of time, or back."""
        return values[::-1] if self.part.reverse else values


class Passage(NamedTuple):
    """What came out, and what each cell did."""

    outputs: Tensor
    """(T, B, O), of a model its readout's."""
    runs: tuple[CellRun, ...]


def embedded(subject: Subject, inputs: Tensor) -> Tensor:
    """Return what the first layer takes: (T, B, D)."""
    if subject.embedding is None:
        return inputs
    vectors: Tensor = subject.embedding(inputs)
    return vectors


def traverse(
    subject: Subject,
    xs: Tensor,
    visitor: Visitor | None = None,
    *,
    start: int = 0,
    past: Passage | None = None,
) -> Passage:
    """Step a subject through a sequence.

    Args:
        subject: what is stepped, in evaluation.
        xs: (T, B, D), what the first layer takes: see `embedded`.
        visitor: looks at every step.
        start: the first step that is computed; what comes before is taken from `past`.
        past: another passage, of the same inputs before `start`; needed where that is not 0. No cell goes backwards.

    Raises:
        ShapeError: the input does not fit the cell, or what `step` returns its state.
    """
    visitor = visitor or Visitor()
    runs: list[CellRun] = []
    check_input(subject.parts[0].cell, xs, len(xs), iter(subject.tensors()))
    for number, layer in enumerate(subject.layers):
        outputs = []
        for part in layer:
            known = past.runs[len(runs)] if past is not None and start else None
            runs.append(_run(part, xs, visitor, start, known))
            outputs.append(torch.stack(runs[-1].in_time(runs[-1].outputs)))
        ys = outputs[0] if len(outputs) == 1 else torch.cat(outputs, -1)
        xs = ys + xs if number and subject.residual else ys
    return Passage(xs if subject.readout is None else subject.readout(xs), tuple(runs))


def _run(part: Part, xs: Tensor, visitor: Visitor, start: int, past: CellRun | None) -> CellRun:
    """Step one cell."""
    cell = part.cell
    projected = time_slices(cell.project(xs.flip(0) if part.reverse else xs))
    if past is None:
        state = visitor.begin(part, starting_state(cell, xs.shape[1], xs))
        run = CellRun(part, projected, [], [], [])
    else:
        state = past.returned[start - 1]
        run = CellRun(part, projected, past.states[:start], past.returned[:start], past.outputs[:start])
    for step in range(start, len(xs)):
        state = visitor.before(part, step, state)
        run.states.append(state)
        with visitor.during(part, step):
            result = cell.step(projected[step], state)
        if step == start:
            check_step(cell, result, state)
        y, state = result
        run.returned.append(state)
        run.outputs.append(y)
    run.states.append(visitor.before(part, len(xs), state))
    return run


def check_states(subject: Subject) -> None:
    """Raise UsageError unless some state of every cell has derivatives."""
    for part in subject.parts:
        state = starting_state(part.cell, 1)
        if not any(tensor.is_floating_point() or tensor.is_complex() for tensor in state):
            raise UsageError(
                f"cell {part.cell.name!r} has no state of real or complex numbers, so nothing of it has a gradient"
            )


def own_last_steps(subject: Subject, outputs: Tensor) -> Tensor:
    """Return what each direction gives at its own last step: (T, B, O) -> (B, O). A readout has the last in time."""
    directions = len(subject.layers[-1])
    if directions == 1 or subject.readout is not None:
        return outputs[-1]
    width = outputs.shape[-1] // directions
    return torch.cat([outputs[-1, :, :width], outputs[0, :, width:]], -1)
