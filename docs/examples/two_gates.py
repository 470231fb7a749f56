"""A cell that rnnkit does not have: two products a step, the second waiting for the first.

f = σ(W_f x + U_f h + b_f)
o = σ(W_o x + U_o h + b_o)
n = tanh(W_n x + U_n (o ⊙ h) + b_n)
m = f ⊙ m + (1 - f) ⊙ n
h = m / √(1 + m²),  y = h
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

import rnnkit


class TwoGates(rnnkit.Cell):
    """A memory behind two gates, read out by an algebraic sigmoid; made up for the benchmark."""

    state_names = ("h", "m")

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.weight_ih = nn.Parameter(torch.empty(3 * hidden_size, input_size))  # rows: f, o, n
        self.weight_hh = nn.Parameter(torch.empty(2 * hidden_size, hidden_size))  # rows: f, o
        self.weight_hn = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(3 * hidden_size))
        self.reset_parameters()

    def reset_parameters(self):
        """Draw every parameter from U(-1/√H, 1/√H)."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def project(self, xs):
        """Compute the input's part for all steps at once: (T, B, D) -> (T, B, 3H)."""
        return F.linear(xs, self.weight_ih, self.bias)

    def step(self, p, state):
        """Advance one step: p (B, 3H), h and m (B, H)."""
        h, m = state
        p_f, p_o, p_n = p.chunk(3, dim=1)
        u_f, u_o = F.linear(h, self.weight_hh).chunk(2, dim=1)
        f, o = torch.sigmoid(p_f + u_f), torch.sigmoid(p_o + u_o)
        n = torch.tanh(p_n + F.linear(o * h, self.weight_hn))
        m = f * m + (1 - f) * n
        h = m * torch.rsqrt(1 + m * m)
        return h, (h, m)
