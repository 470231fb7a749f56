"""AntisymmetricRNN: a step of a differential equation that neither forgets nor explodes.

    h = h + ε tanh((W - Wᵀ - γ I) h + V x + b),  y = h

Paper: Chang, Chen, Haber & Chi, "AntisymmetricRNN: A Dynamical System View on Recurrent Neural Networks", ICLR 2019.

What differs: nothing in the numbers; the paper notes that one triangle of W would do.

When to use it: for long dependencies without gates; epsilon and gamma, which the paper tunes for each task, decide.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit.errors import check_positive, check_rate
from rnnkit_zoo._stacked import Stacked


class Antisymmetric(Stacked):
    """Network with antisymmetric recurrent weights (Chang 2019).

    State: h (B, H). Parameters: weight_ih (H, D), weight_hh (H, H), bias_ih (H,).

    Args:
        input_size: D.
        hidden_size: H.
        epsilon: ε, the step of time.
        gamma: γ from 0 to 1, how much is damped.
        bias: whether there is a bias.
    """

    name = "antisymmetric"
    blocks: ClassVar[tuple[str, ...]] = ("n",)

    def __init__(
        self, input_size: int, hidden_size: int, *, epsilon: float = 0.01, gamma: float = 0.01, bias: bool = True
    ) -> None:
        check_positive(f"cell {self.name!r}: epsilon", epsilon)
        check_rate(f"cell {self.name!r}: gamma", gamma)
        super().__init__(input_size, hidden_size, bias=bias)
        self.epsilon, self.gamma, self.bias_hh = epsilon, gamma, None  # the paper has one bias

    def reset_parameters(self) -> None:
        """Draw as in the paper: weight_ih from N(0, 1/D), weight_hh from N(0, 1/H); the bias is zero."""
        nn.init.normal_(self.weight_ih, std=self.input_size**-0.5)
        nn.init.normal_(self.weight_hh, std=self.hidden_size**-0.5)
        if self.bias_ih is not None:
            nn.init.zeros_(self.bias_ih)

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
