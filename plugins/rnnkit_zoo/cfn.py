"""Chaos-free network: gates that let the state only fade, and the input only push.

    θ = σ(V_θ x + b_iθ + U_θ h + b_hθ)        forget gate
    η = σ(V_η x + b_iη + U_η h + b_hη)        input gate
    h = θ ⊙ tanh(h) + η ⊙ tanh(W x),  y = h

Paper: Laurent & von Brecht, "A recurrent neural network without chaos", ICLR 2017.

Gate order: theta, eta in the rows of every weight but W.

What differs: nothing.

When to use it: where a state must not wander by itself: without input it goes to zero, the deeper layer the slower.
"""

from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit_zoo._stacked import Stacked
from rnnkit_zoo._starts import in_turn, starting, uniform


class CFN(Stacked):
    """Chaos-free network (Laurent & von Brecht 2017).

    State: h (B, H). Parameters in the rows theta, eta: weight_ih (2H, D), weight_hh (2H, H), bias_ih and bias_hh (2H,);
    weight_in (H, D) is W.
    """

    name = "cfn"
    gates = blocks = ("theta", "eta")
    forget_gate, input_gate = "theta", "eta"
    weight_in: Annotated[nn.Parameter, "H, D"]
    starts = starting(uniform(0.07), bias_ih=in_turn(theta=1, eta=-1), bias_hh=0)

    def project(self, xs: Tensor) -> Any:
        """Compute the gates' part and what is let in: (T, B, D) -> (T, B, 2H) and tanh(W x) (T, B, H)."""
        return super().project(xs), torch.tanh(F.linear(xs, self.weight_in))

    def step(self, p: tuple[Tensor, Tensor], state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 2H) and (B, H), h (B, H)."""
        (h,) = state
        (p_theta, p_eta), (h_theta, h_eta) = p[0].chunk(2, dim=1), self.products(h)
        h = torch.sigmoid(p_theta + h_theta) * torch.tanh(h) + torch.sigmoid(p_eta + h_eta) * p[1]
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the CFN."""
    return [CFN]
