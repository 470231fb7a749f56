"""LSTM whose gates see the cell state through peepholes.

    i = σ(W_ii x + b_ii + W_hi h + b_hi + p_i ⊙ c)
    f = σ(W_if x + b_if + W_hf h + b_hf + p_f ⊙ c)
    g = tanh(W_ig x + b_ig + W_hg h + b_hg)
    c' = f ⊙ c + i ⊙ g
    o = σ(W_io x + b_io + W_ho h + b_ho + p_o ⊙ c')        the output gate sees the new cell state
    h = o ⊙ tanh(c'),  y = h; with a projection h = W_hr (o ⊙ tanh(c'))

Paper: Gers, Schraudolph & Schmidhuber, "Learning Precise Timing with LSTM Recurrent Networks", JMLR 3, 2002.

Gate order: i, f, g, o in the rows of every weight; each peephole is a vector of its own.

What differs: the paper leaves out the tanh around the cell state in the output (its timing tasks are linear in
c); here it stays, as in Graves, "Generating Sequences with Recurrent Neural Networks", 2013, so that zero
peepholes give the LSTM.

When to use it: where the exact number of steps between events counts.
"""

import torch
from torch import Tensor, nn

import rnnkit
from rnnkit import State
from rnnkit_cells._gated import Gated


class Peephole(Gated):
    """LSTM with diagonal connections from the cell state to the gates (Gers 2002).

    State: h (B, P), c (B, H), where P is `proj_size` or H. Parameters: the LSTM's, and peephole_i, peephole_f,
    peephole_o (H,).
    """

    name = "peephole"
    state_names = ("h", "c")
    gates = ("i", "f", "g", "o")
    forget_gate = "f"
    input_gate = "i"

    def add_parameters(self, bias: bool) -> None:
        """Add the peepholes."""
        self.peephole_i = nn.Parameter(torch.empty(self.hidden_size))
        self.peephole_f = nn.Parameter(torch.empty(self.hidden_size))
        self.peephole_o = nn.Parameter(torch.empty(self.hidden_size))

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 4H), h (B, P), c (B, H)."""
        h, c = state
        i, f, g, o = torch.addmm(p, h, self.weight_hh.t()).chunk(4, dim=1)
        i = torch.sigmoid(i + self.peephole_i * c)
        f = torch.sigmoid(f + self.peephole_f * c)
        c = f * c + i * torch.tanh(g)
        o = torch.sigmoid(o + self.peephole_o * c)
        h = self.seen(o * torch.tanh(c))
        return h, (h, c)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the peephole LSTM."""
    return [Peephole]
