"""Programs by what they are of: found again, or made for a cell, input and states that are met for the first time."""

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from rnnkit import Cell
from rnnkit_compiler import _annealing
from rnnkit_compiler._cache import Cache
from rnnkit_compiler._candidates import ANY, Wanted, candidates
from rnnkit_compiler._contents import Contents
from rnnkit_compiler._making import first_made, looked_at, made
from rnnkit_compiler._program import Program
from rnnkit_compiler._writing import key_of_written, keys_of_written
from rnnkit_compiler.backends.base.backend import Refusal
from rnnkit_compiler.trace.fingerprint import Fingerprint
from rnnkit_compiler.trace.paths import tensor_at

CAPACITY = 512
"""Programs that are kept."""

_programs: Cache[Program | Refusal] = Cache(CAPACITY)

_contents: Cache[Contents] = Cache(CAPACITY)


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
    exact = (fingerprint.key, *rest)
    known = ((own, *rest) for own in keys_of_written(cell, fingerprint))
    key = next((key for key in known if _programs.known(key) is not None), exact)
    new: list[Program | Refusal] = []  # of what is in the buffers now
    make = _once(partial(first_made, cell, fingerprint, xs, states, wanted, *way), new)
    program = _programs.get(key, make, type(cell))
    if isinstance(program, Program) and program.recording.writes:  # after each call the cell is another, but for these
        key = (key_of_written(cell, fingerprint, program.recording.writes), *rest)
        _programs.get(key, lambda: program, type(cell))
    others = partial(made, cell, fingerprint, xs, states, wanted, *way)
    program = _with_contents(cell, program, Keys(key, exact), lambda: new.pop() if new else others())
    if isinstance(program, Program) and xs.shape[1] == 1 and not program.recording.for_one_row:
        return Refusal("step() does something else with a batch of one row")
    return program


Make = Callable[[], Program | Refusal]


class Keys(NamedTuple):
    """What tells a cell and a call."""

    written: Hashable
    """Whatever its steps have written of what the first program of it writes."""

    exact: Hashable
    """By that as well, which another program may read."""


def _with_contents(cell: Cell, program: Program | Refusal, keys: Keys, make: Make) -> Program | Refusal:
    """Return the program for what is in buffers now; each program tells which count, and another may tell of others."""
    paths: frozenset[str] = frozenset()
    while not paths.issuperset(program.tables):
        paths, writes = paths | {*program.tables}, _written_by(program)
        contents = tuple((path, _contents_of(tensor_at(cell, path))) for path in sorted(paths))
        if _asks(program) and _contents.get((keys.written, paths), Contents, type(cell)).keep_changing(contents):
            return Refusal(f"step() asks for what is in {', '.join(sorted(paths))}, and that keeps changing")
        program = _programs.known((keys.written, contents)) or _programs.get((keys.exact, contents), make, type(cell))
        if isinstance(program, Program) and program.recording.writes == writes:
            program = _programs.get((keys.written, contents), partial(_same, program), type(cell))
    return program


def _once(make: Make, made_here: list[Program | Refusal]) -> Make:
    """Return what makes a program, and puts it on a list as well."""

    def making() -> Program | Refusal:
        made_here.append(make())
        return made_here[-1]

    return making


def _same(program: Program) -> Program:
    return program


def _written_by(program: Program | Refusal) -> tuple[str, ...]:
    return program.recording.writes if isinstance(program, Program) else ()


def _asks(program: Program | Refusal) -> bool:
    return isinstance(program, Refusal) or bool(program.recording.asked)


def _contents_of(tensor: Tensor) -> bytes:
    """Return what is in a tensor, bit by bit."""
    dense = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
    return dense.flatten().view(torch.uint8).numpy().tobytes()
