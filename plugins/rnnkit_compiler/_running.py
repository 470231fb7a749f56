"""Running a program: all steps, or all but the last of a cell whose steps write, which is its own and leaves that."""

from collections.abc import Callable, Iterator

import torch

import rnnkit
from rnnkit_compiler import _devices
from rnnkit_compiler._candidates import Wanted
from rnnkit_compiler._program import Program, forced
from rnnkit_compiler.backends.base.backend import Refusal, Results, Timeline
from rnnkit_compiler.trace.solvers import sound

LEAST = 8
"""Steps from which on kernels run some of them where the last is the cell's own: with fewer, the loop is faster."""

Run = Callable[[rnnkit.Prepared], Results | None]


def leaving_alike(
    program: Program | None, wanted: Wanted, cell: rnnkit.Cell, prepared: rnnkit.Prepared, casts: bool = False
) -> Program | None:
    """Return a program if it leaves on the cell what the loop leaves, and asks for what the loop asks for.

    Raises UsageError if no other may run.

    Args:
        program: of the cell; None: there is none.
        wanted: what the user asks for.
        cell: which is stepped.
        prepared: what the loop would work on.
        casts: whether it does so in another dtype than the program.
    """
    if program is None:
        return None
    recording, reason = program.recording, ""
    changes = f"step() changes the cell ({', '.join(recording.writes)})"
    if casts and any(recording.dtypes[number].is_floating_point for number in recording.asked):
        reason = "step() asks for numbers that are of another dtype in kernels"
    elif recording.writes and len(prepared.xs) < LEAST:
        reason = f"{changes}, and there are fewer than {LEAST} steps"
    elif recording.writes and casts and not program.takes_input:
        reason = f"{changes}, and project(), which runs once for all steps, is to run in another dtype"
    if reason and wanted.backend is not None:
        forced(Refusal(reason), wanted.backend, cell)
    return None if reason else program


def run_by(program: Program, cell: rnnkit.Cell, prepared: rnnkit.Prepared) -> Results | None:
    """Return output and last states; None: the loop is to run."""
    xs, state, masks = prepared
    with _devices.current(xs.device):
        if not program.recording.writes:
            run = program.run
            return sound(program.recording, xs.device, run, cell, xs, state, masks.initial, Timeline.of(xs, masks))
        if program.takes_input:
            return run_to_last(cell, prepared, lambda before: _run_all(program, cell, before))
        return _run_projected(program, cell, prepared)


def run_to_last(cell: rnnkit.Cell, prepared: rnnkit.Prepared, run: Run) -> Results | None:
    """Return output and last states where `run` takes all steps but the last, and projects each by itself."""
    before, last = _parted(prepared)
    if (found := run(before)) is None:
        return None
    (p,) = rnnkit.time_slices(cell.project(last.xs))
    return _with_last(cell, p, found, last.masks)


def _run_all(program: Program, cell: rnnkit.Cell, prepared: rnnkit.Prepared) -> Results:
    xs, state, masks = prepared
    return program.run(cell, xs, state, masks.initial, Timeline.of(xs, masks))


def _run_projected(program: Program, cell: rnnkit.Cell, prepared: rnnkit.Prepared) -> Results:
    """Do so where the projection is one for all steps, which may draw or mix them."""
    before, last = _parted(prepared)
    projected = program.project(cell, prepared.xs)
    parts = [part[:-1] for part in rnnkit.parts_of(projected)]
    timeline = Timeline.of(before.xs, before.masks)
    found = program.run_parts(cell, parts, before.state, before.masks.initial, timeline)
    return _with_last(cell, rnnkit.map_parts(lambda part: part[-1], projected), found, last.masks)


def _parted(prepared: rnnkit.Prepared) -> tuple[rnnkit.Prepared, rnnkit.Prepared]:
    """Return all steps but the last, and the last."""
    xs, state, masks = prepared
    end = len(xs) - 1
    before, last = masks.between(0, end), masks.between(end, end + 1)
    return rnnkit.Prepared(xs[:end], state, before), rnnkit.Prepared(xs[end:], state, last)


def _with_last(cell: rnnkit.Cell, p: rnnkit.Projected, found: Results, masks: rnnkit.Masks) -> Results:
    """Run the last step as the loop does, behind those that have run."""
    ys, before = found
    state = tuple(before)
    if masks.restart is not None:
        state = rnnkit.choose_rows(masks.restart[0], masks.initial, state)
    y, after = cell.step(p, state)
    rnnkit.check_step(cell, (y, after), tuple(before))
    if masks.live is not None:
        y, after = rnnkit.hold_ended(masks.live[0], y, after, tuple(before))
    return torch.cat([ys, y.unsqueeze(0)]), tuple(tensor.clone() for tensor in after)


def said_of_writing(program: Program) -> Iterator[str]:
    """Say who runs the last step, where that is not the kernel."""
    if program.recording.writes:
        yield f"the last step: by step() itself, which leaves what each writes ({', '.join(program.recording.writes)})"
        yield f"calls of fewer than {LEAST} steps: by the loop, which is the faster"
