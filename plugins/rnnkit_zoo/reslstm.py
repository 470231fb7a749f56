"""Residual LSTM: a shortcut from the input to the output, under the output gate.

    i = σ(W_ii x + b_ii + W_hi h + b_hi + w_ci ⊙ c)
    f = σ(W_if x + b_if + W_hf h + b_hf + w_cf ⊙ c)
    g = tanh(W_ig x + b_ig + W_hg h + b_hg)
    c' = f ⊙ c + i ⊙ g
    o = σ(W_io x + b_io + W_ho h + b_ho + w_co ⊙ c')        the output gate sees the new cell state
    h = o ⊙ (W_p tanh(c') + W_x x),  y = h

Paper: Kim, El-Khamy & Lee, "Residual LSTM: Design of a Deep Recurrent Architecture for Distant Speech Recognition",
Interspeech 2017.

Gate order: i, f, g, o in the rows of every weight; each peephole is a vector of its own.

What differs: W_x is always a matrix; the paper allows the identity in its place where D = H.

When to use it: in stacks of many LSTM layers, which train as shallow ones do, with fewer parameters than a highway.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit_zoo._stacked import Stacked


class ResLSTM(Stacked):
    """Residual LSTM (Kim 2017).

    State: h (B, H), c (B, H). Parameters in the rows i, f, g, o: weight_ih (4H, D), weight_hh (4H, H), bias_ih and
    bias_hh (4H,); peephole_i, peephole_f, peephole_o (H,); weight_p (H, H) and weight_x (H, D).
    """

    name = "reslstm"
    state_names = ("h", "c")
    gates = blocks = ("i", "f", "g", "o")
    forget_gate = "f"
    input_gate = "i"

    def add_parameters(self) -> None:
        """Add the peepholes, the projection of the cell state and the shortcut."""
        self.peephole_i = nn.Parameter(torch.empty(self.hidden_size))
        self.peephole_f = nn.Parameter(torch.empty(self.hidden_size))
        self.peephole_o = nn.Parameter(torch.empty(self.hidden_size))
        self.weight_p = nn.Parameter(torch.empty(self.hidden_size, self.hidden_size))
        self.weight_x = nn.Parameter(torch.empty(self.hidden_size, self.input_size))

    def project(self, xs: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Compute the input's part of all gates, and the shortcut: (T, B, D) -> (T, B, 4H), (T, B, H)."""
        return super().project(xs), F.linear(xs, self.weight_x)

    def step(self, p: tuple[Tensor, Tensor], state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 4H) and W_x x (B, H), h (B, H), c (B, H)."""
        h, c = state
        i, f, g, o = (p[0] + F.linear(h, self.weight_hh, self.bias_hh)).chunk(4, dim=1)
        i = torch.sigmoid(i + self.peephole_i * c)
        f = torch.sigmoid(f + self.peephole_f * c)
        c = f * c + i * torch.tanh(g)
        o = torch.sigmoid(o + self.peephole_o * c)
        h = o * (F.linear(torch.tanh(c), self.weight_p) + p[1])
        return h, (h, c)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the residual LSTM."""
    return [ResLSTM]
