"""The LSTM of 1997, which cannot forget: what is stored stays, and more is added.

    i = σ(W_ii x + b_ii + W_hi h + b_hi)
    g = k tanh((W_ig x + b_ig + W_hg h + b_hg) / k)
    o = σ(W_io x + b_io + W_ho h + b_ho)
    c = c + i ⊙ g
    h = o ⊙ tanh(c / k),  y = h

Paper: Hochreiter & Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997.

What differs: one cell under each pair of gates, no further hidden units, and the whole gradient, not a truncated one.
With k = 2, g and h are the paper's logistic functions of range (-2, 2) and (-1, 1), written as tanh.

When to use it: to count or add up over a whole sequence; on streams without an end c grows without bound.
"""

import torch
from torch import Tensor

import rnnkit
from rnnkit import State
from rnnkit.errors import check_positive
from rnnkit_zoo._stacked import Stacked


class OriginalLSTM(Stacked):
    """Long short-term memory without forget gate (Hochreiter & Schmidhuber 1997).

    State: h, c (B, H). Parameters in the rows i, g, o: weight_ih (3H, D), weight_hh (3H, H), bias_ih and bias_hh (3H,).

    Args:
        k: the range of what is added to c; 1 makes both functions tanh, as in later LSTMs.
    """

    name = "originallstm"
    state_names = ("h", "c")
    gates = blocks = ("i", "g", "o")
    input_gate = "i"

    def __init__(self, input_size: int, hidden_size: int, *, k: float = 2.0, bias: bool = True) -> None:
        check_positive("cell 'originallstm': k", k)
        super().__init__(input_size, hidden_size, bias=bias)
        self.k = k

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 3H), h (B, H), c (B, H)."""
        h, c = state
        i, g, o = self.preactivations(p, h)
        c = c + torch.sigmoid(i) * self.k * torch.tanh(g / self.k)
        h = torch.sigmoid(o) * torch.tanh(c / self.k)
        return h, (h, c)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the LSTM of 1997."""
    return [OriginalLSTM]
