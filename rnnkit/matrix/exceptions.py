"""Exceptions of the matrix: what an unroller or a cell says that it does not do, with its reason."""

from collections.abc import Sequence

import torch

from rnnkit.core.cell import Cell
from rnnkit.core.unroller import Unroller
from rnnkit.matrix.case import Case

PACKING = {
    "vmap": "torch packs sequences by their lengths, which under vmap it may not read",
    "jvp": "torch has no forward mode for packing sequences",
}
"""What torch itself cannot do with a PackedSequence, by check."""


def declared_exception(cells: Sequence[Cell], unroller: Unroller, case: Case) -> str:
    """Say why a case is none that has to pass, in the words of its unroller or cell; empty: it has to."""
    for cell in cells:
        if reason := unroller.refusal(cell, case.check):
            return f"unroller {unroller.name!r}: {_of_any_cell(reason, cell, unroller)}"
        if cell.straight_through:
            return f"cell {cell.name!r}: straight_through says that its gradients are on purpose not derivatives"
        if case.check == "float32" and draws(cell):
            return "a cell that draws random numbers draws others in another dtype"
    return PACKING.get(case.check, "") if case.layout == "packed" else ""


def _of_any_cell(reason: str, cell: Cell, unroller: Unroller) -> str:
    """Return a reason without the names in it, so that it is counted with those of other cells."""
    return reason.removeprefix(f"unroller {unroller.name!r}: ").replace(f"cell {cell.name!r}", "the cell")


def draws(cell: Cell) -> bool:
    """Tell whether `project` draws random numbers."""
    like = next((tensor for tensor in [*cell.parameters(), *cell.buffers()] if tensor.is_floating_point()), None)
    dtype = torch.get_default_dtype() if like is None else like.dtype
    before = torch.get_rng_state()
    with torch.no_grad():
        cell.project(torch.zeros(1, 1, cell.input_size, dtype=dtype))
    return not torch.equal(before, torch.get_rng_state())
