"""Residual LSTM: a shortcut from the input to the output, under the output gate.

    i, f = σ(W x + b_ih + U h + b_hh + w ⊙ c),  g = tanh(W_g x + b_ig + U_g h + b_hg)
    c' = f ⊙ c + i ⊙ g
    o = σ(W_o x + b_io + U_o h + b_ho + w_o ⊙ c')           the output gate sees the new cell state
    h = o ⊙ (W_p tanh(c') + W_x x),  y = h

Paper: Kim, El-Khamy & Lee, "Residual LSTM: Design of a Deep Recurrent Architecture for Distant Speech Recognition",
Interspeech 2017.

What differs: W_x is always a matrix; the paper allows the identity in its place where D = H.

When to use it: in stacks of many LSTM layers, which train as shallow ones do, with fewer parameters than a highway.
"""

from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit_zoo._lstm import LSTMLike


class ResLSTM(LSTMLike):
    """Residual LSTM (Kim 2017).

    State: h, c (B, H). Parameters in the rows i, f, g, o: weight_ih (4H, D), weight_hh (4H, H), bias_ih and bias_hh
    (4H,); peephole_i, peephole_f, peephole_o (H,); weight_p (H, H) and weight_x (H, D).
    """

    name = "reslstm"
    peephole_i: Annotated[nn.Parameter, "H"]
    peephole_f: Annotated[nn.Parameter, "H"]
    peephole_o: Annotated[nn.Parameter, "H"]
    weight_p: Annotated[nn.Parameter, "H, H"]
    weight_x: Annotated[nn.Parameter, "H, D"]

    def project(self, xs: Tensor) -> Any:
        """Compute the input's part of all gates, and the shortcut: (T, B, D) -> (T, B, 4H), (T, B, H)."""
        return super().project(xs), F.linear(xs, self.weight_x)

    def step(self, p: tuple[Tensor, Tensor], state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 4H) and W_x x (B, H), h (B, H), c (B, H)."""
        h, c = state
        i, f, g, o = self.preactivations(p[0], h)
        c = torch.sigmoid(f + self.peephole_f * c) * c + torch.sigmoid(i + self.peephole_i * c) * torch.tanh(g)
        h = torch.sigmoid(o + self.peephole_o * c) * (F.linear(torch.tanh(c), self.weight_p) + p[1])
        return h, (h, c)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the residual LSTM."""
    return [ResLSTM]
