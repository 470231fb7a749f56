"""AntisymmetricRNN: a step of a differential equation that neither forgets nor explodes.

    h = h + ε tanh((W - Wᵀ - γ I) h + V x + b),  y = h

Paper: Chang, Chen, Haber & Chi, "AntisymmetricRNN: A Dynamical System View on Recurrent Neural Networks", ICLR 2019.

What differs: nothing in the numbers; the paper notes that one triangle of W would do.

When to use it: for long dependencies without gates; epsilon and gamma, which the paper tunes for each task, decide.
"""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit.errors import check_positive, check_rate
from rnnkit_zoo._stacked import Stacked
from rnnkit_zoo._starts import D, H, normal, root, starting


class Antisymmetric(Stacked):
    """Network with antisymmetric recurrent weights (Chang 2019).

    State: h (B, H). Parameters: weight_ih (H, D), weight_hh (H, H), bias_ih (H,).

    Args:
        epsilon: ε, the step of time.
        gamma: γ from 0 to 1, how much is damped.
    """

    name = "antisymmetric"
    blocks: ClassVar[tuple[str, ...]] = ("n",)
    starts = starting(weight_ih=normal(1 / root(D)), weight_hh=normal(1 / root(H)), bias_ih=0)

    def __init__(
        self, input_size: int, hidden_size: int, *, epsilon: float = 0.01, gamma: float = 0.01, bias: bool = True
    ) -> None:
        check_positive(f"cell {self.name!r}: epsilon", epsilon)
        check_rate(f"cell {self.name!r}: gamma", gamma)
        super().__init__(input_size, hidden_size, bias=bias)
        self.epsilon, self.gamma, self.bias_hh = epsilon, gamma, None  # the paper has one bias

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, H), h (B, H)."""
        (h,) = state
        s = F.linear(h, self.weight_hh - self.weight_hh.t()) - self.gamma * h
        h = h + self.epsilon * torch.tanh(p + s)
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the AntisymmetricRNN."""
    return [Antisymmetric]
