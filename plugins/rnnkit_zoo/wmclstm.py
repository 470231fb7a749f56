"""LSTM with working memory connections: the gates see the cell state through a matrix and a tanh.

    i = σ(W_ii x + b_ii + W_hi h + b_hi + tanh(W_ci c))
    f = σ(W_if x + b_if + W_hf h + b_hf + tanh(W_cf c))
    g = tanh(W_ig x + b_ig + W_hg h + b_hg)
    c' = f ⊙ c + i ⊙ g
    o = σ(W_io x + b_io + W_ho h + b_ho + tanh(W_co c'))        the output gate sees the new cell state
    h = o ⊙ tanh(c'),  y = h

Paper: Landi, Baraldi, Cornia & Cucchiara, "Working Memory Connections for LSTM", Neural Networks 144, 2021.

Gate order: i, f, g, o in the rows of every weight; i, f, o in those of weight_ch.

What differs: nothing; with two biases for each gate, as in torch.nn.LSTM.

When to use it: where an LSTM works and its gates should know what is stored; unlike peepholes, the bounded connections
stay stable on long sequences.
"""

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit_zoo._lstm import LSTMLike


class WMCLSTM(LSTMLike):
    """LSTM with working memory connections (Landi 2021).

    State: h (B, H), c (B, H). Parameters in the rows i, f, g, o: weight_ih (4H, D), weight_hh (4H, H), bias_ih and
    bias_hh (4H,); in the rows i, f, o: weight_ch (3H, H).
    """

    name = "wmclstm"
    weight_ch: Annotated[nn.Parameter, "3H, H"]

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 4H), h (B, H), c (B, H)."""
        h, c = state
        old = 2 * self.hidden_size
        i, f, g, o = self.preactivations(p, h)
        m_i, m_f = torch.tanh(F.linear(c, self.weight_ch[:old])).chunk(2, dim=1)
        c = torch.sigmoid(f + m_f) * c + torch.sigmoid(i + m_i) * torch.tanh(g)
        o = torch.sigmoid(o + torch.tanh(F.linear(c, self.weight_ch[old:])))
        h = o * torch.tanh(c)
        return h, (h, c)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the LSTM with working memory connections."""
    return [WMCLSTM]
