"""Recurrently neuromodulated bistable cell: bistable units whose feedback all the others set.

    a = 1 + tanh(U_a x + b_ia + W_a h + b_ha)
    c = σ(U_c x + b_ic + W_c h + b_hc)
    h = c ⊙ h + (1 - c) ⊙ tanh(U_h x + b_ih + a ⊙ h),  y = h

Paper: Vecoven, Ernst & Drion, "A bio-inspired bistable recurrent cell allows for long-lasting memory", PLOS ONE
16(6), 2021.

Gate order: a, c, h in the rows of weight_ih, a, c in those of weight_hh.

What differs: the biases, which the paper leaves out of its equations.

When to use it: as the bistable cell `br`, for what must be kept for very long, where the units depend on each other.
"""

import torch
from torch import Tensor

import rnnkit
from rnnkit import State
from rnnkit_zoo._stacked import Stacked
from rnnkit_zoo._starts import GLOROT, starting


class NBR(Stacked):
    """Recurrently neuromodulated bistable recurrent cell, nBRC (Vecoven 2021).

    State: h (B, H). Parameters: weight_ih (3H, D) and bias_ih (3H,) in the rows a, c, h; weight_hh (2H, H) and bias_hh
    (2H,) in the rows a, c.
    """

    name = "nbr"
    blocks = ("a", "c", "h")
    recurrent_blocks = ("a", "c")
    starts = starting(GLOROT, bias_ih=0, bias_hh=0)

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 3H), h (B, H)."""
        (h,) = state
        p_a, p_c, p_h = p.chunk(3, dim=1)
        r_a, r_c = self.products(h)
        a = 1 + torch.tanh(p_a + r_a)
        c = torch.sigmoid(p_c + r_c)
        h = c * h + (1 - c) * torch.tanh(p_h + a * h)
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the neuromodulated bistable cell."""
    return [NBR]
