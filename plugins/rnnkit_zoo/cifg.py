"""LSTM with coupled input and forget gate: it forgets just as much as it lets in.

    i = σ(W_ii x + b_ii + W_hi h + b_hi + p_i ⊙ c),  g = tanh(W_ig x + b_ig + W_hg h + b_hg)
    c' = (1 - i) ⊙ c + i ⊙ g,  h = o ⊙ tanh(c'),  y = h
    o = σ(W_io x + b_io + W_ho h + b_ho + p_o ⊙ c')        the output gate sees the new cell state

Paper: Greff, Srivastava, Koutník, Steunebrink & Schmidhuber, "LSTM: A Search Space Odyssey", IEEE TNNLS 28(10), 2017.

What differs: nothing; `peepholes=False` is the paper's CIFG and NP, no peepholes, at once.

When to use it: in place of an LSTM, with a quarter fewer parameters and, in the paper, no loss.
"""

from typing import Annotated

import torch
from torch import Tensor, nn

import rnnkit
from rnnkit import State
from rnnkit_zoo._stacked import Stacked
from rnnkit_zoo._starts import normal, starting


class CIFG(Stacked):
    """LSTM with coupled input and forget gate (Greff 2017).

    State: h, c (B, H). Parameters in the rows i, g, o: weight_ih (3H, D), weight_hh (3H, H), bias_ih and bias_hh (3H,);
    peephole_i and peephole_o (H,).

    Args:
        peepholes: whether the gates see the cell state.
    """

    name = "cifg"
    state_names = ("h", "c")
    gates = blocks = ("i", "g", "o")
    input_gate = "i"
    peephole_i: Annotated[nn.Parameter | None, "H", "peepholes"]
    peephole_o: Annotated[nn.Parameter | None, "H", "peepholes"]
    starts = starting(normal(0.1))

    def __init__(self, input_size: int, hidden_size: int, *, peepholes: bool = True, bias: bool = True) -> None:
        self.peepholes = peepholes
        super().__init__(input_size, hidden_size, bias=bias)

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 3H), h (B, H), c (B, H)."""
        (h, c), (i, g, o) = state, self.preactivations(p, state[0])
        i = torch.sigmoid(i if self.peephole_i is None else i + self.peephole_i * c)
        c = (1 - i) * c + i * torch.tanh(g)
        h = torch.sigmoid(o if self.peephole_o is None else o + self.peephole_o * c) * torch.tanh(c)
        return h, (h, c)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the LSTM with coupled gates."""
    return [CIFG]
