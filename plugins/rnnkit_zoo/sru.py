"""SRU: gates that see h only element by element, and a highway past the cell.

    n = W_n x
    f = σ(W_f x + v_f ⊙ c + b_f)
    r = σ(W_r x + v_r ⊙ c + b_r)                    with the c before the step
    c = f ⊙ c + (1 - f) ⊙ n
    y = r ⊙ c + (1 - r) ⊙ α s,  s = x,  α = √(1 + 2 exp(b))

Paper: Lei et al., "Simple Recurrent Units for Highly Parallelizable Recurrence", EMNLP 2018.

Gate order: n, f, r, then s if there is one, in the rows of the weight.

What differs: nothing where D = H; else s = W_s x in place of the x that is too wide or too narrow.

When to use it: in place of an LSTM where speed counts, in several layers.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import Projected, State


class SRU(rnnkit.Cell):
    """Simple recurrent unit (Lei 2018).

    State: c (B, H). Parameters: weight_ih (3H, D), or (4H, D) where D is not H, from U(-√(3/D), √(3/D)); peephole_f and
    peephole_r (H,), v, from U(-1/√H, 1/√H); bias_f (H,), from zero, and bias_r (H,), from b.

    Args:
        input_size: D.
        hidden_size: H.
        highway_bias: b; below zero, more of the input goes past the cell.
    """

    name = "sru"
    state_names = ("c",)

    def __init__(self, input_size: int, hidden_size: int, *, highway_bias: float = 0.0) -> None:
        super().__init__(input_size, hidden_size)
        self.scale = math.sqrt(1 + 2 * math.exp(highway_bias))
        rows = hidden_size * (3 if input_size == hidden_size else 4)
        bound, v = (3 / input_size) ** 0.5, hidden_size**-0.5
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size).uniform_(-bound, bound))
        self.peephole_f = nn.Parameter(torch.empty(hidden_size).uniform_(-v, v))
        self.peephole_r = nn.Parameter(torch.empty(hidden_size).uniform_(-v, v))
        self.bias_f = nn.Parameter(torch.zeros(hidden_size))
        self.bias_r = nn.Parameter(torch.full((hidden_size,), float(highway_bias)))

    def project(self, xs: Tensor) -> Projected:
        """Compute n, the gates' parts and what goes past the cell: (T, B, D) -> four of (T, B, H)."""
        n, f, r, *s = torch.split(F.linear(xs, self.weight_ih), self.hidden_size, dim=2)
        return n, f + self.bias_f, r + self.bias_r, self.scale * (s[0] if s else xs)

    def step(self, p: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """Advance one step: p four of (B, H), c (B, H)."""
        (c,) = state
        n, p_f, p_r, past = p
        f, r = torch.sigmoid(p_f + self.peephole_f * c), torch.sigmoid(p_r + self.peephole_r * c)
        c = f * c + (1 - f) * n
        return r * c + (1 - r) * past, (c,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the SRU."""
    return [SRU]
