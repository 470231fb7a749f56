"""Long short-term memory.

    i = σ(W_ii x + b_ii + W_hi h + b_hi)        input gate
    f = σ(W_if x + b_if + W_hf h + b_hf)        forget gate
    g = tanh(W_ig x + b_ig + W_hg h + b_hg)     candidate
    o = σ(W_io x + b_io + W_ho h + b_ho)        output gate
    c = f ⊙ c + i ⊙ g
    h = o ⊙ tanh(c),  y = h; with a projection h = W_hr (o ⊙ tanh(c))

Paper: Hochreiter & Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997, with the forget gate of
Gers, Schmidhuber & Cummins, "Learning to Forget", Neural Computation 12(10), 2000; the projection: Sak, Senior &
Beaufays, "Long Short-Term Memory Recurrent Neural Network Architectures for Large Scale Acoustic Modeling",
Interspeech 2014.

Gate order: i, f, g, o in the rows of every weight, as in torch.nn.LSTM.

What differs: from the papers, one cell under each set of gates instead of a block of several, and the whole
gradient instead of a truncated one. From torch.nn.LSTM, nothing but rounding.

When to use it: first, and as what every other cell is compared with.
"""

import torch
from torch import Tensor

import rnnkit
from rnnkit import State
from rnnkit_cells._gated import Gated


class LSTM(Gated):
    """Long short-term memory with a forget gate (Hochreiter & Schmidhuber 1997, Gers 2000).

    State: h (B, P), c (B, H), where P is `proj_size` or H. Parameters in the rows i, f, g, o: weight_ih (4H, D),
    weight_hh (4H, P), bias_ih and bias_hh (4H,); with a projection (Sak 2014) weight_hr (P, H).
    """

    name = "lstm"
    state_names = ("h", "c")
    gates = ("i", "f", "g", "o")
    forget_gate = "f"
    input_gate = "i"

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 4H), h (B, P), c (B, H)."""
        h, c = state
        i, f, g, o = torch.addmm(p, h, self.weight_hh.t()).chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = self.seen(torch.sigmoid(o) * torch.tanh(c))
        return h, (h, c)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the LSTM."""
    return [LSTM]
