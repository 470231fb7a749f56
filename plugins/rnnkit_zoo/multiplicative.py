"""Multiplicative LSTM: each input chooses its own recurrent matrix, through a factor between h and the gates.

    m = (W_m x + b_im) ⊙ (U_m h + b_hm)
    i = σ(W_i x + b_ii + V_i m)
    f = σ(W_f x + b_if + V_f m)
    o = σ(W_o x + b_io + V_o m)
    g = tanh(W_g x + b_ig + V_g m)
    c = f ⊙ c + i ⊙ g
    h = tanh(c ⊙ o),  y = h

Paper: Krause, Lu, Murray & Renals, "Multiplicative LSTM for sequence modelling", arXiv 1609.07959, 2016.

What differs: the factors of m have biases. As in the paper, the output gate is inside the last tanh; the authors' first
code leaves out the tanh of g, their later one has o outside.

When to use it: for text by characters and other discrete input, where each symbol should have a transition of its own.
"""

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit_zoo._stacked import Stacked
from rnnkit_zoo._starts import in_turn, starting


class Multiplicative(Stacked):
    """Multiplicative LSTM (Krause 2016).

    State: h, c (B, H). Parameters: weight_ih (5H, D) and bias_ih (5H,) in the rows m, i, f, o, g; weight_hh (H, H) and
    bias_hh (H,) for m; weight_mh (4H, H) in the rows i, f, o, g.
    """

    name = "multiplicative"
    state_names = ("h", "c")
    blocks = ("m", "i", "f", "o", "g")
    recurrent_blocks = ("m",)
    weight_mh: Annotated[nn.Parameter, "4H, H"]
    starts = starting(bias_ih=in_turn(m=0, i=0, f=1, o=0, g=0), bias_hh=0)

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 5H), h (B, H), c (B, H)."""
        h, c = state
        p_m, p_i, p_f, p_o, p_g = p.chunk(5, dim=1)
        m = p_m * F.linear(h, self.weight_hh, self.bias_hh)
        m_i, m_f, m_o, m_g = F.linear(m, self.weight_mh).chunk(4, dim=1)
        c = torch.sigmoid(p_f + m_f) * c + torch.sigmoid(p_i + m_i) * torch.tanh(p_g + m_g)
        h = torch.tanh(c * torch.sigmoid(p_o + m_o))
        return h, (h, c)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the multiplicative LSTM."""
    return [Multiplicative]
