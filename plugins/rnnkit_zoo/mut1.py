"""MUT1: a mutation of the GRU, first of the three that an evolutionary search found.

    z = σ(W_z x + b_iz)
    r = σ(W_r x + b_ir + U_r h + b_hr)
    n = tanh(tanh(W_n x + b_in) + U_n (r ⊙ h) + b_hn)
    h = (1 - z) ⊙ h + z ⊙ n,  y = h

Paper: Jozefowicz, Zaremba & Sutskever, "An Empirical Exploration of Recurrent Network Architectures", ICML 2015.

Gate order: z, r, n in the rows of weight_ih and bias_ih; r, n in those of weight_hh and bias_hh.

What differs: the paper has tanh(x) in the candidate, for which D must be H; W_n x + b_in brings any x to that width.

When to use it: in place of a GRU: the paper has it ahead on algorithmic tasks and level on language.
"""

from typing import Any

import torch
from torch import Tensor

import rnnkit
from rnnkit import State
from rnnkit_zoo._apart import Apart


class MUT1(Apart):
    """Mutation 1 of the GRU: the update gate sees the input alone (Jozefowicz 2015).

    State: h (B, H). Parameters in the rows z, r, n: weight_ih (3H, D), bias_ih (3H,); in the rows r, n: weight_hh
    (2H, H), bias_hh (2H,).
    """

    name = "mut1"
    blocks = ("z", "r", "n")
    recurrent_blocks = ("r", "n")

    def project(self, xs: Tensor) -> Any:
        """Compute all of the input alone: (T, B, D) -> z, W_r x + b_ir and tanh(W_n x + b_in), each (T, B, H)."""
        z, r, n = super().project(xs).chunk(3, dim=-1)
        return torch.sigmoid(z), r, torch.tanh(n)

    def step(self, p: tuple[Tensor, Tensor, Tensor], state: State) -> tuple[Tensor, State]:
        """Advance one step: p three (B, H), h (B, H)."""
        (h,) = state
        z, p_r, p_n = p
        r = torch.sigmoid(p_r + self.product("r", h))
        n = torch.tanh(p_n + self.product("n", r * h))
        h = (1 - z) * h + z * n
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer MUT1."""
    return [MUT1]
