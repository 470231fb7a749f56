"""T-RNN: strongly typed, so that h is an average of the features that the inputs have had.

    z = W x + b_z
    f = σ(V x + b_f)
    h = f ⊙ h + (1 - f) ⊙ z,  y = h

Paper: Balduzzi & Ghifary, "Strongly-Typed Recurrent Neural Networks", ICML 2016.

Gate order: z, f in the rows of weight_ih and bias_ih.

What differs: z has a bias too.

When to use it: in several layers, where speed matters: no step has a product with h.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit.errors import check_flag


class TRNN(rnnkit.Cell):
    """Strongly-typed recurrent network (Balduzzi 2016).

    State: h (B, H). Parameters in the rows z, f: weight_ih (2H, D), bias_ih (2H,), absent with `bias=False`.

    Args:
        input_size: D.
        hidden_size: H.
        bias: whether there are biases.
    """

    name = "trnn"

    def __init__(self, input_size: int, hidden_size: int, *, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size)
        check_flag("cell 'trnn': bias", bias)
        self.weight_ih = nn.Parameter(torch.empty(2 * hidden_size, input_size))
        self.bias_ih = nn.Parameter(torch.empty(2 * hidden_size)) if bias else None
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -1 / math.sqrt(hidden_size), 1 / math.sqrt(hidden_size))

    def project(self, xs: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the forget gate and what is let in, (1 - f) ⊙ z: (T, B, D) -> twice (T, B, H)."""
        z, f = F.linear(xs, self.weight_ih, self.bias_ih).chunk(2, dim=2)
        f = torch.sigmoid(f)
        return f, (1 - f) * z

    def step(self, p: tuple[Tensor, Tensor], state: State) -> tuple[Tensor, State]:
        """Advance one step: p twice (B, H), h (B, H)."""
        (h,) = state
        f, new = p
        h = f * h + new
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the T-RNN."""
    return [TRNN]
