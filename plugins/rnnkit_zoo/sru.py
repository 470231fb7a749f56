"""SRU: gates that see h only element by element, and a highway past the cell.

    n = W_n x
    f = σ(W_f x + v_f ⊙ c + b_f),  r = σ(W_r x + v_r ⊙ c + b_r)         with the c before the step
    c = f ⊙ c + (1 - f) ⊙ n
    y = r ⊙ c + (1 - r) ⊙ α s,  s = x,  α = √(1 + 2 exp(b))

Paper: Lei et al., "Simple Recurrent Units for Highly Parallelizable Recurrence", EMNLP 2018.

What differs: nothing where D = H; else s = W_s x in place of the x that is too wide or too narrow.

When to use it: in place of an LSTM where speed counts, in several layers.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

import rnnkit
from rnnkit import Projected, State
from rnnkit_zoo._highway import Highway


class SRU(Highway):
    """Simple recurrent unit (Lei 2018).

    State: c (B, H). Parameters: in the rows n, f, r weight_ih (3H, D), or, with s, (4H, D) where D is not H; peephole_f
    and peephole_r (H,), v; bias_f and bias_r (H,).

    Args:
        highway_bias: b; below zero, more of the input goes past the cell.
    """

    name = "sru"
    state_names = ("c",)

    def project(self, xs: Tensor) -> Projected:
        """Compute n, the gates' parts and what goes past the cell: (T, B, D) -> four of (T, B, H)."""
        n, f, r, *s = torch.split(F.linear(xs, self.weight_ih), self.hidden_size, dim=2)
        return n, f + self.bias_f, r + self.bias_r, self.scale * (s[0] if s else xs)

    def step(self, p: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """Advance one step: p four of (B, H), c (B, H)."""
        (c,), (n, p_f, p_r, past) = state, p
        f, r = torch.sigmoid(p_f + self.peephole_f * c), torch.sigmoid(p_r + self.peephole_r * c)
        c = f * c + (1 - f) * n
        return r * c + (1 - r) * past, (c,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the SRU."""
    return [SRU]
