"""Minimal gated unit.

    f = σ(W_f x + U_f h + b_f)
    n = tanh(W_n x + U_n (f ⊙ h) + b_n)
    h = (1 - f) ⊙ h + f ⊙ n,  y = h

Paper: Zhou, Wu, Zhang & Zhou, "Minimal Gated Unit for Recurrent Neural Networks", arXiv 1603.09420, 2016.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

import rnnkit


class MGU(rnnkit.Cell):
    """Minimal gated unit: one gate forgets and updates (Zhou 2016)."""

    name = "my_mgu"
    state_names = ("h",)

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.weight_ih = nn.Parameter(torch.empty(2 * hidden_size, input_size))  # rows: f, n
        self.weight_hf = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.weight_hn = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(2 * hidden_size))
        self.reset_parameters()

    def reset_parameters(self):
        """Draw every parameter from U(-1/√H, 1/√H)."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def project(self, xs):
        """Compute the input's part for all steps at once: (T, B, D) -> (T, B, 2H)."""
        return F.linear(xs, self.weight_ih, self.bias)

    def step(self, p, state):
        """Advance one step: p (B, 2H), h (B, H)."""
        (h,) = state
        p_f, p_n = p.chunk(2, dim=1)
        f = torch.sigmoid(p_f + h @ self.weight_hf.t())
        n = torch.tanh(p_n + (f * h) @ self.weight_hn.t())
        h = (1 - f) * h + f * n
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells():
    """Offer the cell to rnnkit."""
    return [MGU]
