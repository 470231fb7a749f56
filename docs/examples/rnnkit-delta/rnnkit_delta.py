"""Delta-RNN: a gate that sees the input alone mixes the state with a second-order candidate.

    d = α ⊙ V h ⊙ W x + β_1 ⊙ V h + β_2 ⊙ W x
    z = tanh(d + b_z)
    r = σ(W x + b_r)
    h = tanh((1 - r) ⊙ z + r ⊙ h),  y = h

Paper: Ororbia, Mikolov & Reitter, "Learning Simpler Language Models with the
Differential State Framework", Neural Computation 29(12), 2017.

What differs: nothing in the step. α, β_1 and β_2 begin as ones.
"""

import math

import rnnkit
import torch
from torch import nn
from torch.nn import functional as F


class Delta(rnnkit.Cell):
    """Delta-RNN: one product of the input, one of the state (Ororbia 2017).

    State: h (B, H). Parameters: weight_ih (H, D), weight_hh (H, H); alpha, beta_1,
    beta_2, bias_z and bias_r (H,).
    """

    name = "delta"
    state_names = ("h",)

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.weight_ih = nn.Parameter(torch.empty(hidden_size, input_size))  # W
        self.weight_hh = nn.Parameter(torch.empty(hidden_size, hidden_size))  # V
        self.alpha = nn.Parameter(torch.empty(hidden_size))
        self.beta_1 = nn.Parameter(torch.empty(hidden_size))
        self.beta_2 = nn.Parameter(torch.empty(hidden_size))
        self.bias_z = nn.Parameter(torch.empty(hidden_size))
        self.bias_r = nn.Parameter(torch.empty(hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights from U(-1/√H, 1/√H); biases begin as zeros, α and β as ones."""
        bound = 1 / math.sqrt(self.hidden_size)
        for weight in (self.weight_ih, self.weight_hh):
            nn.init.uniform_(weight, -bound, bound)
        for bias in (self.bias_z, self.bias_r):
            nn.init.zeros_(bias)
        for factor in (self.alpha, self.beta_1, self.beta_2):
            nn.init.ones_(factor)

    def project(self, xs: torch.Tensor) -> torch.Tensor:
        """Compute W x of all steps: (T, B, D) -> (T, B, H)."""
        return F.linear(xs, self.weight_ih)

    def step(
        self, p: torch.Tensor, state: rnnkit.State
    ) -> tuple[torch.Tensor, rnnkit.State]:
        """Advance one step: p (B, H), h (B, H)."""
        (h,) = state
        v = F.linear(h, self.weight_hh)
        d = self.alpha * v * p + self.beta_1 * v + self.beta_2 * p
        z = torch.tanh(d + self.bias_z)
        r = torch.sigmoid(p + self.bias_r)
        h = torch.tanh((1 - r) * z + r * h)
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the cell to rnnkit."""
    return [Delta]
