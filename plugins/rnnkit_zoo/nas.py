"""NAS cell: the recurrent cell that an architecture search found on Penn Treebank.

    a_k = W_k x + b_ik,  r_k = U_k h + b_hk,  k = 0 … 7
    u = tanh(σ(a_0 + r_0) ⊙ relu(a_1 + r_1))
    v = tanh(σ(a_2 + r_2) + relu(a_3 ⊙ r_3))
    w = tanh(tanh(a_4 + r_4) ⊙ σ(a_5 + r_5))
    z = σ(tanh(a_6 + r_6) + σ(a_7 + r_7))
    c = tanh(u + c) ⊙ v
    h = tanh(c ⊙ tanh(w + z)),  y = h

Paper: Zoph & Le, "Neural Architecture Search with Reinforcement Learning", ICLR 2017.

Gate order: 0 to 7, the leaves of the paper's tree from left to right, in the rows of every weight.

What differs: nothing; the biases are optional, as in the cell that the authors gave to TensorFlow.

When to use it: as the found cell in comparisons of recurrent architectures; it was found for language modelling.
"""

import torch
from torch import Tensor

import rnnkit
from rnnkit import State
from rnnkit_zoo._stacked import Stacked
from rnnkit_zoo._starts import starting


class NAS(Stacked):
    """The cell of neural architecture search (Zoph & Le 2017).

    State: h (B, H), c (B, H). Parameters in the rows 0 to 7: weight_ih (8H, D), weight_hh (8H, H), bias_ih and bias_hh
    (8H,).
    """

    name = "nas"
    state_names = ("h", "c")
    gates = blocks = ("0", "1", "2", "3", "4", "5", "6", "7")
    starts = starting(bias_ih=0, bias_hh=0)

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 8H), h (B, H), c (B, H)."""
        h, c = state
        a, r = p.chunk(8, dim=1), self.products(h)
        u = torch.tanh(torch.sigmoid(a[0] + r[0]) * torch.relu(a[1] + r[1]))
        v = torch.tanh(torch.sigmoid(a[2] + r[2]) + torch.relu(a[3] * r[3]))
        w = torch.tanh(torch.tanh(a[4] + r[4]) * torch.sigmoid(a[5] + r[5]))
        z = torch.sigmoid(torch.tanh(a[6] + r[6]) + torch.sigmoid(a[7] + r[7]))
        c = torch.tanh(u + c) * v
        h = torch.tanh(c * torch.tanh(w + z))
        return h, (h, c)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the NAS cell."""
    return [NAS]
