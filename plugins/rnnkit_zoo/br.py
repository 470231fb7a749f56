"""Bistable recurrent cell: each unit feeds back on itself alone, and can latch one of two values for good.

    a = 1 + tanh(U_a x + b_ia + w_a ⊙ h + b_ha)
    c = σ(U_c x + b_ic + w_c ⊙ h + b_hc)
    h = c ⊙ h + (1 - c) ⊙ tanh(U_h x + b_ih + a ⊙ h),  y = h

Paper: Vecoven, Ernst & Drion, "A bio-inspired bistable recurrent cell allows for long-lasting memory", PLOS ONE
16(6), 2021.

Gate order: a, c, h in the rows of weight_ih, a, c in weight_hh.

What differs: the biases, which the paper leaves out of its equations.

When to use it: where a few facts must be kept for a very long time; a unit is bistable while a > 1. Cells that are
to exchange what they know go in a stack.
"""

from typing import Annotated

import torch
from torch import Tensor, nn

import rnnkit
from rnnkit import State
from rnnkit_zoo._stacked import Stacked
from rnnkit_zoo._starts import GLOROT, starting


class BR(Stacked):
    """Bistable recurrent cell, BRC (Vecoven 2021).

    State: h (B, H). Parameters: weight_ih (3H, D) and bias_ih (3H,) in the rows a, c, h; weight_hh (2H,), the diagonals
    w_a and w_c, and bias_hh (2H,).
    """

    name = "br"
    blocks = ("a", "c", "h")
    recurrent_blocks = ("a", "c")
    weight_hh: Annotated[nn.Parameter, "2H", 1]
    starts = starting(weight_ih=GLOROT, bias_ih=0, bias_hh=0)

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 3H), h (B, H)."""
        (h,) = state
        p_a, p_c, p_h = p.chunk(3, dim=1)
        own = self.weight_hh * torch.cat((h, h), dim=1)
        r_a, r_c = (own if self.bias_hh is None else own + self.bias_hh).chunk(2, dim=1)
        a = 1 + torch.tanh(p_a + r_a)
        c = torch.sigmoid(p_c + r_c)
        h = c * h + (1 - c) * torch.tanh(p_h + a * h)
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the bistable recurrent cell."""
    return [BR]
