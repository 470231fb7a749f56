"""Programs by what they are of: found again, or made for a cell, input and states that are met for the first time."""

from collections.abc import Sequence

import torch
from torch import Tensor

from rnnkit import Cell
from rnnkit_compiler import _annealing
from rnnkit_compiler._cache import Cache
from rnnkit_compiler._making import first_made, looked_at, made
from rnnkit_compiler._program import ANY, Program, Wanted, candidates
from rnnkit_compiler._writing import key_of_written, keys_of_written
from rnnkit_compiler.backends.base.backend import Refusal
from rnnkit_compiler.trace.fingerprint import Fingerprint
from rnnkit_compiler.trace.paths import tensor_at

CAPACITY = 512
"""Programs that are kept."""

_programs: Cache[Program | Refusal] = Cache(CAPACITY)


def program_for(
    cell: Cell, xs: Tensor, states: Sequence[Tensor], wanted: Wanted = ANY, narrow: bool = False, apart: bool = False
) -> Program | Refusal:
    """Return the program of a cell for such input, unless something about the call asks for the loop; see `compose`."""
    return _annealing.program_of(cell, xs, states, lambda one: _program_with(one, xs, states, wanted, narrow, apart))


def _program_with(cell: Cell, xs: Tensor, states: Sequence[Tensor], wanted: Wanted, *way: bool) -> Program | Refusal:
    """Return the program of a cell with all its attributes as they are."""
    found = looked_at(cell, xs, states)
    return found if isinstance(found, Refusal) else program_of(cell, found, xs, states, wanted, *way)


def program_of(
    cell: Cell, fingerprint: Fingerprint, xs: Tensor, states: Sequence[Tensor], wanted: Wanted, *way: bool
) -> Program | Refusal:
    """Return the program of a cell for such input and states, made at the first question."""
    forms = tuple((tensor.shape[1:], tensor.dtype) for tensor in states)
    how = (torch.get_default_dtype(), candidates(wanted.backend), wanted.kernel, *way)
    rest = (xs.shape[2], xs.dtype, xs.device, forms, *how)
    known = ((own, *rest) for own in keys_of_written(cell, fingerprint))
    key = next((key for key in known if _programs.known(key) is not None), (fingerprint.key, *rest))
    program = _programs.get(key, lambda: first_made(cell, fingerprint, xs, states, wanted, *way), type(cell))
    if isinstance(program, Program) and program.recording.writes:  # after each call the cell is another, but for these
        key = (key_of_written(cell, fingerprint, program.recording.writes), *rest)
        _programs.get(key, lambda: program, type(cell))
    if isinstance(program, Program) and xs.shape[1] == 1 and not program.recording.for_one_row:
        return Refusal("step() does something else with a batch of one row")
    if isinstance(program, Refusal) or not program.tables:
        return program
    # The first one tells which buffers count: there is one for each of what is in them.
    contents = tuple(tensor_at(cell, path).cpu().numpy().tobytes() for path in program.tables)
    return _programs.get((key, contents), lambda: made(cell, fingerprint, xs, states, wanted, *way), type(cell))
