"""LSTM with coupled input and forget gate: it forgets just as much as it lets in.

    i = σ(W_ii x + b_ii + W_hi h + b_hi + p_i ⊙ c)
    g = tanh(W_ig x + b_ig + W_hg h + b_hg)
    c' = (1 - i) ⊙ c + i ⊙ g
    o = σ(W_io x + b_io + W_ho h + b_ho + p_o ⊙ c')        the output gate sees the new cell state
    h = o ⊙ tanh(c'),  y = h

Paper: Greff, Srivastava, Koutník, Steunebrink & Schmidhuber, "LSTM: A Search Space Odyssey", IEEE Transactions on
Neural Networks and Learning Systems 28(10), 2017.

Gate order: i, g, o in the rows of every weight; each peephole is a vector of its own.

What differs: nothing; `peepholes=False` is the paper's CIFG and NP, no peepholes, at once.

When to use it: in place of an LSTM, with a quarter fewer parameters and, in the paper, no loss.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit.errors import check_flag
from rnnkit_zoo._stacked import Stacked


class CIFG(Stacked):
    """LSTM with coupled input and forget gate (Greff 2017).

    State: h (B, H), c (B, H). Parameters in the rows i, g, o: weight_ih (3H, D), weight_hh (3H, H), bias_ih and bias_hh
    (3H,); peephole_i and peephole_o (H,).

    Args:
        input_size: D.
        hidden_size: H.
        peepholes: whether the gates see the cell state.
        bias: whether there are biases.
    """

    name = "cifg"
    state_names = ("h", "c")
    gates = blocks = ("i", "g", "o")
    input_gate = "i"

    def __init__(self, input_size: int, hidden_size: int, *, peepholes: bool = True, bias: bool = True) -> None:
        check_flag("cell 'cifg': peepholes", peepholes)
        self.peepholes = peepholes
        super().__init__(input_size, hidden_size, bias=bias)

    def add_parameters(self) -> None:
        """Add the peepholes."""
        self.peephole_i: nn.Parameter | None
        self.peephole_o: nn.Parameter | None
        for name in ("peephole_i", "peephole_o"):
            self.register_parameter(name, nn.Parameter(torch.empty(self.hidden_size)) if self.peepholes else None)

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 3H), h (B, H), c (B, H)."""
        h, c = state
        i, g, o = (p + F.linear(h, self.weight_hh, self.bias_hh)).chunk(3, dim=1)
        i = torch.sigmoid(i if self.peephole_i is None else i + self.peephole_i * c)
        c = (1 - i) * c + i * torch.tanh(g)
        o = torch.sigmoid(o if self.peephole_o is None else o + self.peephole_o * c)
        h = o * torch.tanh(c)
        return h, (h, c)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the LSTM with coupled gates."""
    return [CIFG]
