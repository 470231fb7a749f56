"""Making the program of a cell, or telling why there is none; on a GPU what there is not is said once."""

from collections.abc import Sequence

from torch import Tensor

from rnnkit import Cell, collection_put_off
from rnnkit.errors import first_line
from rnnkit_compiler import _devices
from rnnkit_compiler._candidates import BACKENDS, Wanted
from rnnkit_compiler._program import Program, compose
from rnnkit_compiler._repetition import note as note_recording
from rnnkit_compiler._writing import known_to_write
from rnnkit_compiler._writing import note as note_writing
from rnnkit_compiler.backends.base.backend import Refusal
from rnnkit_compiler.trace.fingerprint import Fingerprint
from rnnkit_compiler.trace.obstacle import obstacle
from rnnkit_compiler.trace.recording import NotRecordable, WritingStep


def looked_at(cell: Cell, xs: Tensor, states: Sequence[Tensor]) -> Fingerprint | Refusal:
    """Return the fingerprint of a cell, unless something about the call asks for the loop."""
    try:
        fingerprint = Fingerprint(cell)
    except Exception as error:  # a module may answer as it likes
        return Refusal(f"looking at the cell fails ({first_line(error)})")
    reason = fingerprint.unseen or obstacle(cell, fingerprint, xs, states) or known_to_write(cell, fingerprint)
    return Refusal(reason) if reason else fingerprint


def first_made(
    cell: Cell, fingerprint: Fingerprint, xs: Tensor, states: Sequence[Tensor], wanted: Wanted, *way: bool
) -> Program | Refusal:
    """Return the program of a cell with a fingerprint that is met for the first time; see `made`."""
    note_recording(cell, fingerprint, xs)
    return made(cell, fingerprint, xs, states, wanted, *way)


def made(
    cell: Cell, fingerprint: Fingerprint, xs: Tensor, states: Sequence[Tensor], wanted: Wanted, *way: bool
) -> Program | Refusal:
    """Return the program of a cell for such input and states; see `compose`."""
    program = _composed(cell, fingerprint, xs, states, wanted, *way)
    is_plan = isinstance(program, Program) and program.backend.name == BACKENDS[-1].name
    if wanted.backend is None and (isinstance(program, Refusal) or is_plan):
        instead = "the loop runs" if isinstance(program, Refusal) else "torch's operations run"
        _devices.say_once(xs.device, program.reason, f"no kernel for cell {cell.name!r} on {xs.device}", instead)
    return program


def _composed(
    cell: Cell, fingerprint: Fingerprint, xs: Tensor, states: Sequence[Tensor], wanted: Wanted, *way: bool
) -> Program | Refusal:
    try:
        with collection_put_off():
            return compose(cell, xs, states, wanted, *way)
    except WritingStep as error:
        note_writing(cell, fingerprint, error)
        return Refusal(str(error), error.asked)
    except NotRecordable as error:
        return Refusal(str(error), error.asked)
    except Exception as error:  # of project(), on numbers of our own: the loop says so of the user's, if it is so there
        return Refusal(f"trying the cell fails ({first_line(error)})")
