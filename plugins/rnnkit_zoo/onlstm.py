"""ON-LSTM: an LSTM whose units are ordered, from those that forget soon to those that keep long.

    i, f, o = σ(W x + b_ih + U h + b_hh),  g = tanh(W_g x + b_ig + U_g h + b_hg)
    F = cumsum(softmax(V_F x + b_F + U_F h + d_F))                  master forget gate
    I = 1 - cumsum(softmax(V_I x + b_I + U_I h + d_I))              master input gate
    c = (f ⊙ ω + F - ω) ⊙ c + (i ⊙ ω + I - ω) ⊙ g,  ω = F ⊙ I           where they overlap, the LSTM's gates decide
    h = o ⊙ tanh(c),  y = h

Paper: Shen et al., "Ordered Neurons: Integrating Tree Structures into Recurrent Neural Networks", ICLR 2019.

What differs: nothing; the paper's chunk factor C is `chunk_size`: so many neighbours share a number of F and of I.

When to use it: language, and what else has nested parts of different lengths.
"""

import torch
from torch import Tensor

import rnnkit
from rnnkit import State
from rnnkit_zoo._mastergates import MasterGates
from rnnkit_zoo._starts import D, root, starting, uniform


class ONLSTM(MasterGates):
    """Ordered neurons LSTM (Shen 2019).

    State: h, c (B, H). Parameters in the rows i, f, g, o: weight_ih (4H, D), weight_hh (4H, H), bias_ih and bias_hh
    (4H,); in the rows F, I, M = H / C each, as of torch.nn.Linear: master_ih (2M, D), master_hh (2M, H) with biases.

    Args:
        chunk_size: C, which divides H.
    """

    name = "onlstm"
    state_names = ("h", "c")
    gates = blocks = ("i", "f", "g", "o")
    starts = starting(weight_ih=uniform(1 / root(D)), bias_ih=uniform(1 / root(D)))

    def project(self, xs: Tensor) -> Tensor:
        """Compute the input's part of all gates, the master gates' last: (T, B, D) -> (T, B, 4H + 2M)."""
        return torch.cat([super().project(xs), self.master_ih(xs)], dim=2)

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 4H + 2M), h, c (B, H)."""
        h, c = state
        gates = p + torch.cat([*self.products(h), self.master_hh(h)], dim=1)
        i, f, g, o, masters = torch.split(gates, [*[self.hidden_size] * 4, 2 * self.sums.shape[1]], dim=1)
        keep, shut = self.master_gates(masters)
        both = keep * (1 - shut)
        c = (torch.sigmoid(f) * both + keep - both) * c + (torch.sigmoid(i) * both + 1 - shut - both) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, (h, c)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the ON-LSTM."""
    return [ONLSTM]
