"""Piecewise-linear recurrent network: linear for each unit by itself, rectified between units.

    z = A ⊙ z + W relu(z) + b_h + C x + b_i,  y = z        A has H elements, W no diagonal

Paper: Koppe, Toutounji, Kirsch, Lis & Durstewitz, "Identifying nonlinear dynamical systems via generative recurrent
neural networks with applications to fMRI", PLoS Computational Biology 15(8), 2019; without inputs Durstewitz, "A state
space approach for piecewise-linear recurrent neural networks for identifying computational dynamics from neural
measurements", PLoS Computational Biology 13(6), 2017.

What differs: there is no noise on z, for here the network is trained by gradients and not by expectation maximisation;
A begins between 0.5 and 0.9, our choice, and the diagonal of weight_hh is there, but never used.

When to use it: to find the dynamics behind a measured series, whose fixed points and cycles can then be computed.
"""

from typing import Annotated

import torch
from torch import Tensor, nn

import rnnkit
from rnnkit import State
from rnnkit_zoo._stacked import Stacked
from rnnkit_zoo._starts import uniform


class PLRNN(Stacked):
    """Piecewise-linear recurrent network (Koppe 2019).

    State: z (B, H). Parameters: weight_ih (H, D), weight_hh (H, H), bias_ih and bias_hh (H,), A (H,).
    """

    name = "plrnn"
    state_names = ("z",)
    blocks = ("z",)
    A: Annotated[nn.Parameter, "H", uniform(0.9, low=0.5)]

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, H), z (B, H)."""
        (z,) = state
        r = torch.relu(z)
        (w,) = self.products(r)
        z = self.A * z + w - self.weight_hh.diagonal() * r + p
        return z, (z,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the PLRNN."""
    return [PLRNN]
