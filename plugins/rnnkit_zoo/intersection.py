"""Intersection RNN, or +RNN: one gate for the way along time, another for the way up through the layers.

    u = relu(W_y x + b_iy + V_y h + b_hy),  n = tanh(W_h x + b_ih + V_h h + b_hh)
    g_y = σ(W_gy x + b_igy + V_gy h + b_hgy),  g_h = σ(W_gh x + b_igh + V_gh h + b_hgh)
    y = g_y ⊙ x' + (1 - g_y) ⊙ u,  x' = x where D is H, else W_x x
    h = g_h ⊙ h + (1 - g_h) ⊙ n

Paper: Collins, Sohl-Dickstein & Sussillo, "Capacity and Trainability in Recurrent Neural Networks", ICLR 2017.

What differs: the paper has y as wide as x; the projection W_x lets a first layer be of another width. The constants
beside the biases of the gates, which it tunes, are the biases' own, 1 at the start.

When to use it: in deep stacks, where the gated way past each layer lets the gradient through.
"""

from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit_zoo._stacked import Stacked
from rnnkit_zoo._starts import in_turn, starting


class Intersection(Stacked):
    """Intersection RNN, whose output is not its state (Collins 2017).

    State: h (B, H). Parameters in the rows y, h, gy, gh: weight_ih (4H, D), weight_hh (4H, H), bias_ih and bias_hh
    (4H,); where D is not H, weight_x (H, D).
    """

    name = "intersection"
    gates = blocks = ("y", "h", "gy", "gh")
    forget_gate = "gh"
    weight_x: Annotated[nn.Parameter | None, "H, D", "widens"]
    starts = starting(bias_ih=in_turn(y=0, h=0, gy=1, gh=1), bias_hh=0)

    @property
    def widens(self) -> bool:
        """Whether x needs a projection to the width of y."""
        return self.input_size != self.hidden_size

    def project(self, xs: Tensor) -> Any:
        """Compute the input's part of all blocks and what y lets through: (T, B, D) -> (T, B, 4H), (T, B, H)."""
        return super().project(xs), xs if self.weight_x is None else F.linear(xs, self.weight_x)

    def step(self, p: tuple[Tensor, Tensor], state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 4H) and x' (B, H), h (B, H)."""
        (h,), (u, n, g_y, g_h) = state, self.preactivations(p[0], state[0])
        g_y, g_h = torch.sigmoid(g_y), torch.sigmoid(g_h)
        return g_y * p[1] + (1 - g_y) * torch.relu(u), (g_h * h + (1 - g_h) * torch.tanh(n),)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the intersection RNN."""
    return [Intersection]
