"""Running a program: all steps, or all but the last of a cell whose steps write, which is its own and leaves that."""

from collections.abc import Iterator

import torch

import rnnkit
from rnnkit_compiler import _devices
from rnnkit_compiler._program import Program, Wanted, forced
from rnnkit_compiler.backends.base.backend import Refusal, Results, Timeline
from rnnkit_compiler.trace.solvers import sound

LEAST = 3
"""Steps from which on kernels run some of them where the last is the cell's own."""


def leaving_alike(
    program: Program | None, wanted: Wanted, cell: rnnkit.Cell, prepared: rnnkit.Prepared | None
) -> Program | None:
    """Return a program if it leaves on the cell what the loop leaves; raises UsageError if no other may run.

    Args:
        program: of the cell; None: there is none.
        wanted: what the user asks for.
        cell: which is stepped.
        prepared: what the loop would work on; None: something in another dtype.
    """
    if program is None or not program.recording.writes:
        return program
    if prepared is None:
        reason = "which the loop writes in another dtype"
    elif len(prepared.xs) < LEAST:
        reason = f"and there are fewer than {LEAST} steps"
    elif prepared.masks.live is not None or prepared.masks.restart is not None:
        reason = "and rows end or start again"
    else:
        return program
    if wanted.backend is not None:
        written = ", ".join(program.recording.writes)
        forced(Refusal(f"step() changes the cell ({written}), {reason}"), wanted.backend, cell)
    return None


def run_by(program: Program, cell: rnnkit.Cell, prepared: rnnkit.Prepared) -> Results | None:
    """Return output and last states; None: the loop is to run."""
    xs, state, masks = prepared
    with _devices.current(xs.device):
        if program.recording.writes:
            return _run_to_last(program, cell, prepared)
        return sound(program.recording, xs.device, program.run, cell, xs, state, masks.initial, Timeline.of(xs, masks))


def _run_to_last(program: Program, cell: rnnkit.Cell, prepared: rnnkit.Prepared) -> Results:
    xs, state, _ = prepared
    ys, before = program.run(cell, xs[:-1], state, (), Timeline(len(xs) - 1, xs.shape[1], None, None, None))
    (p,) = rnnkit.time_slices(cell.project(xs[-1:]))
    y, after = cell.step(p, before)
    rnnkit.check_step(cell, (y, after), before)
    return torch.cat([ys, y.unsqueeze(0)]), tuple(tensor.clone() for tensor in after)


def said_of_writing(program: Program) -> Iterator[str]:
    """Say who runs the last step, where that is not the kernel."""
    if program.recording.writes:
        yield f"the last step: by step() itself, which leaves what each writes ({', '.join(program.recording.writes)})"
        yield f"calls of fewer than {LEAST} steps, or with lengths or reset: by the loop, for its sake"
