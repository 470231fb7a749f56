"""Single steps, whose calls cost more than their arithmetic."""

from itertools import chain

import torch
from torch import Tensor

from rnnkit import Cell, State

FEW_ROWS = 16
"""Up to which a single step that is differentiated is left to the loop."""


def is_one_step(cell: Cell, xs: Tensor, state: State | None) -> bool:
    """Tell whether a call is one step of few rows that is to be differentiated.

    Autograd is through with its dozen operations before a kernel's call is prepared, forward and back.
    """
    if xs.ndim != 3 or xs.shape[0] != 1 or xs.shape[1] > FEW_ROWS or not torch.is_grad_enabled():
        return False
    given = state if isinstance(state, tuple) else ()
    known = chain(cell._parameters.values(), (xs,), given)  # of the cell's own first: mostly one of them is learnt
    return any(getattr(tensor, "requires_grad", False) for tensor in chain(known, cell.parameters()))
