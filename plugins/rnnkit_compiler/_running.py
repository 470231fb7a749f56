"""Running a program: all steps, or all but the last of a cell whose steps write, which is its own and leaves that."""

from collections.abc import Iterator

import torch

import rnnkit
from rnnkit_compiler import _devices
from rnnkit_compiler._program import Program
from rnnkit_compiler.backends.base.backend import Results, Timeline
from rnnkit_compiler.trace.solvers import sound

LEAST = 3
"""Steps from which on kernels run some of them where the last is the cell's own."""


def run_by(program: Program, cell: rnnkit.Cell, prepared: rnnkit.Prepared) -> Results | None:
    """Return output and last states; None: the loop is to run."""
    xs, state, masks = prepared
    with _devices.current(xs.device):
        if program.recording.writes:
            return _run_to_last(program, cell, prepared)
        return sound(program.recording, xs.device, program.run, cell, xs, state, masks.initial, Timeline.of(xs, masks))


def _run_to_last(program: Program, cell: rnnkit.Cell, prepared: rnnkit.Prepared) -> Results | None:
    xs, state, masks = prepared
    if len(xs) < LEAST or masks.live is not None or masks.restart is not None or not program.takes_input:
        return None
    ys, before = program.run(cell, xs[:-1], state, (), Timeline(len(xs) - 1, xs.shape[1], None, None, None))
    (p,) = rnnkit.time_slices(cell.project(xs[-1:]))
    y, after = cell.step(p, before)
    rnnkit.check_step(cell, (y, after), before)
    return torch.cat([ys, y.unsqueeze(0)]), tuple(tensor.clone() for tensor in after)


def said_of_writing(program: Program) -> Iterator[str]:
    """Say who runs the last step, where that is not the kernel."""
    if program.recording.writes:
        yield f"the last step: by step() itself, which leaves what each writes ({', '.join(program.recording.writes)})"
