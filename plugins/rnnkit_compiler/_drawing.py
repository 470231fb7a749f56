"""Calls whose draws would not be the loop's: torch fills a tensor as it lies, and in its dtype."""

from collections.abc import Iterable

from torch import Tensor

import rnnkit
from rnnkit_compiler._candidates import Wanted
from rnnkit_compiler._program import Program, forced
from rnnkit_compiler.backends.base.backend import Refusal
from rnnkit_compiler.trace.draws import is_ordered


def drawing_alike(
    program: Program | None, wanted: Wanted, cell: rnnkit.Cell, prepared: rnnkit.Prepared | None
) -> Program | None:
    """Return a program if it draws the numbers that the loop draws; raises UsageError if no other may run.

    Args:
        program: of the cell; None: there is none.
        wanted: what the user asks for.
        cell: which is stepped.
        prepared: what the loop would work on; None: something in another dtype.
    """
    if program is None or not program.recording.draws:
        return program
    reason = "which the loop draws in another dtype"
    if prepared is not None:
        if draws_alike(program, prepared.xs, (*prepared.state, *prepared.masks.initial)):
            return program
        reason = "and input or state is transposed"
    if wanted.backend is not None:
        forced(Refusal(f"step() draws random numbers, {reason}"), wanted.backend, cell)
    return None


def draws_alike(program: Program, xs: Tensor, states: Iterable[Tensor]) -> bool:
    """Tell whether a program draws the numbers that the loop draws of an input (T, B, ...) and states."""
    return not program.recording.draws or all(map(is_ordered, (xs[0], *states)))
