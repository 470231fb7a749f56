"""Intersection RNN, or +RNN: one gate for the way along time, another for the way up through the layers.

    u   = relu(W_y x + b_iy + V_y h + b_hy)
    n   = tanh(W_h x + b_ih + V_h h + b_hh)
    g_y = σ(W_gy x + b_igy + V_gy h + b_hgy)
    g_h = σ(W_gh x + b_igh + V_gh h + b_hgh)
    y   = g_y ⊙ x' + (1 - g_y) ⊙ u
    h   = g_h ⊙ h + (1 - g_h) ⊙ n

    x' = x where D = H, else W_x x

Paper: Collins, Sohl-Dickstein & Sussillo, "Capacity and Trainability in Recurrent Neural Networks", ICLR 2017.

Gate order: y, h, gy, gh in the rows of every weight.

What differs: the paper has y as wide as x; the projection W_x lets a first layer be of another width. Its constants
beside the biases of the gates, tuned there, are the biases' own: `rnnkit.init.forget_bias_` sets that of g_h.

When to use it: in deep stacks, where the gated way past each layer lets the gradient through.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit_zoo._stacked import Stacked


class Intersection(Stacked):
    """Intersection RNN, whose output is not its state (Collins 2017).

    State: h (B, H). Parameters in the rows y, h, gy, gh: weight_ih (4H, D), weight_hh (4H, H), bias_ih and bias_hh
    (4H,); where D is not H, weight_x (H, D).
    """

    name = "intersection"
    gates = blocks = ("y", "h", "gy", "gh")
    forget_gate = "gh"

    def add_parameters(self) -> None:
        """Add the projection of x to the width of y, where it needs one."""
        same = self.input_size == self.hidden_size
        self.weight_x: nn.Parameter | None
        weight = None if same else nn.Parameter(torch.empty(self.hidden_size, self.input_size))
        self.register_parameter("weight_x", weight)

    def project(self, xs: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Compute the input's part of all blocks and what y lets through: (T, B, D) -> (T, B, 4H), (T, B, H)."""
        return super().project(xs), xs if self.weight_x is None else F.linear(xs, self.weight_x)

    def step(self, p: tuple[Tensor, Tensor], state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 4H) and x' (B, H), h (B, H)."""
        (h,) = state
        u, n, g_y, g_h = (p[0] + F.linear(h, self.weight_hh, self.bias_hh)).chunk(4, dim=1)
        g_y, g_h = torch.sigmoid(g_y), torch.sigmoid(g_h)
        y = g_y * p[1] + (1 - g_y) * torch.relu(u)
        return y, (g_h * h + (1 - g_h) * torch.tanh(n),)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the intersection RNN."""
    return [Intersection]
