"""UnICORNN: undamped oscillators, each by itself, in steps of time that it learns.

    z = z - Δt σ(c) ⊙ (tanh(w ⊙ y + V x + b) + α y)        velocity
    y = y + Δt σ(c) ⊙ z                                    position, of the new velocity

Paper: Rusch & Mishra, "UnICORNN: A recurrent model for learning very long time dependencies", ICML 2021.

What differs: nothing; Δt and α are the paper's for permuted sequential MNIST, which tunes them for each task.

When to use it: in several layers, for very long sequences; no step has a product with h, and none loses anything.
"""

from typing import Annotated

import torch
from torch import Tensor, nn

import rnnkit
from rnnkit import State
from rnnkit.errors import check_positive
from rnnkit_zoo._fed import Fed
from rnnkit_zoo._starts import kaiming_uniform, starting, uniform


class UnICORNN(Fed):
    """Undamped independent controlled oscillatory network (Rusch 2021).

    State: y, z (B, H). Parameters: weight_ih (H, D), bias_ih (H,), w and c (H,).

    Args:
        dt: Δt, the longest step of time.
        alpha: α, how strongly an oscillator is pulled back.
    """

    name = "unicornn"
    state_names = ("y", "z")
    w: Annotated[nn.Parameter, "H", uniform(1, low=0)]
    c: Annotated[nn.Parameter, "H", uniform(0.1)]
    starts = starting(weight_ih=kaiming_uniform(8), bias_ih=0)

    def __init__(
        self, input_size: int, hidden_size: int, *, dt: float = 0.19, alpha: float = 30.65, bias: bool = True
    ) -> None:
        self.check(check_positive, dt=dt, alpha=alpha)
        super().__init__(input_size, hidden_size, bias=bias)
        self.dt, self.alpha = dt, alpha

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, H), y and z (B, H)."""
        y, z = state
        dt = self.dt * torch.sigmoid(self.c)
        z = z - dt * (torch.tanh(p + self.w * y) + self.alpha * y)
        y = y + dt * z
        return y, (y, z)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the UnICORNN."""
    return [UnICORNN]
