"""τ-GRU: a gated recurrent unit that also sees its state of τ steps before.

    u = tanh(W_u x + b_iu + U_u h + b_hu)        of the last state
    g, a = σ(W x + b_ih + U h + b_hh)
    v = tanh(W_v x + b_iv + U_v h_τ + b_hv)      of the state τ steps before the last
    h = (1 - g) ⊙ h + g ⊙ (u + a ⊙ v),  y = h

Paper: Erichson, Lim & Mahoney, "Gated Recurrent Neural Networks with Weighted Time-Delay Feedback", arXiv 2212.00228.

What differs: nothing; v is the paper's z, and the delay line, h_1 to h_τ, is a state, zeros before the first step.

When to use it: for dependencies at a distance that is roughly known, which `delay` should be near.
"""

import torch
from torch import Tensor

import rnnkit
from rnnkit import State
from rnnkit.errors import check_whole
from rnnkit_zoo._apart import Apart


class TauGRU(Apart):
    """Gated recurrent unit with weighted time-delay feedback (Erichson 2022).

    State: h, h_1, ..., h_τ (B, H). Parameters in the rows u, g, a, v: weight_ih (4H, D), weight_hh (4H, H), bias_ih
    and bias_hh (4H,).

    Args:
        delay: τ, in steps.
    """

    name = "taugru"
    gates = blocks = ("u", "g", "a", "v")

    def __init__(self, input_size: int, hidden_size: int, *, delay: int = 5, bias: bool = True) -> None:
        check_whole("cell 'taugru': delay", delay)
        super().__init__(input_size, hidden_size, bias=bias)
        self.state_names = ("h", *(f"h_{k}" for k in range(1, delay + 1)))

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 4H), h and all before it (B, H)."""
        h, delayed = state[0], state[-1]
        p_u, p_g, p_a, p_v = p.chunk(4, dim=1)
        h_u, h_g, h_a = self.product("u", h, blocks=3).chunk(3, dim=1)
        g, a = torch.sigmoid(p_g + h_g), torch.sigmoid(p_a + h_a)
        v = torch.tanh(p_v + self.product("v", delayed))
        new = (1 - g) * h + g * (torch.tanh(p_u + h_u) + a * v)
        return new, (new, *state[:-1])


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the τ-GRU."""
    return [TauGRU]
