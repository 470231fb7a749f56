"""τ-GRU: a gated recurrent unit that also sees its state of τ steps before.

    u = tanh(W_u x + b_iu + U_u h + b_hu)        of the last state
    g = σ(W_g x + b_ig + U_g h + b_hg)
    a = σ(W_a x + b_ia + U_a h + b_ha)
    v = tanh(W_v x + b_iv + U_v h_τ + b_hv)      of the state τ steps before the last
    h = (1 - g) ⊙ h + g ⊙ (u + a ⊙ v),  y = h

Paper: Erichson, Lim & Mahoney, "Gated Recurrent Neural Networks with Weighted Time-Delay Feedback",
arXiv 2212.00228, 2022.

Gate order: u, g, a, v in the rows of every weight; v is the paper's z.

What differs: nothing; the delay line, h_1 to h_τ, is a state, zeros before the first step.

When to use it: for dependencies at a distance that is roughly known, which `delay` should be near.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit.errors import check_whole
from rnnkit_zoo._stacked import Stacked


class TauGRU(Stacked):
    """Gated recurrent unit with weighted time-delay feedback (Erichson 2022).

    State: h, h_1, ..., h_τ (B, H). Parameters in the rows u, g, a, v: weight_ih (4H, D), weight_hh (4H, H), bias_ih
    and bias_hh (4H,).

    Args:
        input_size: D.
        hidden_size: H.
        delay: τ, in steps.
        bias: whether there are biases.
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
        h_u, h_g, h_a, h_v = self.recurrence(h, delayed)
        u = torch.tanh(p_u + h_u)
        g = torch.sigmoid(p_g + h_g)
        a = torch.sigmoid(p_a + h_a)
        v = torch.tanh(p_v + h_v)
        new = (1 - g) * h + g * (u + a * v)
        return new, (new, *state[:-1])

    def recurrence(self, h: Tensor, delayed: Tensor) -> tuple[Tensor, ...]:
        """Return the recurrent blocks: u, g, a of h (B, H) and v of the delayed state (B, H)."""
        rows = [3 * self.hidden_size, self.hidden_size]
        w, w_v = torch.split(self.weight_hh, rows)
        b, b_v = (None, None) if self.bias_hh is None else torch.split(self.bias_hh, rows)
        return *F.linear(h, w, b).chunk(3, dim=1), F.linear(delayed, w_v, b_v)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the τ-GRU."""
    return [TauGRU]
