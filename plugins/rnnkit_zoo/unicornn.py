"""UnICORNN: undamped oscillators, each by itself, in steps of time that it learns.

    z = z - Δt σ(c) ⊙ (tanh(w ⊙ y + V x + b) + α y)        velocity
    y = y + Δt σ(c) ⊙ z                                    position, of the new velocity

Paper: Rusch & Mishra, "UnICORNN: A recurrent model for learning very long time dependencies", ICML 2021.

What differs: nothing; Δt and α are the paper's for permuted sequential MNIST, which tunes them for each task.

When to use it: in several layers, for very long sequences; no step has a product with h, and none loses anything.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit.errors import check_flag, check_positive


class UnICORNN(rnnkit.Cell):
    """Undamped independent controlled oscillatory network (Rusch 2021).

    State: y, z (B, H). Parameters: weight_ih (H, D), bias_ih (H,), w and c (H,).

    Args:
        input_size: D.
        hidden_size: H.
        dt: Δt, the longest step of time.
        alpha: α, how strongly an oscillator is pulled back.
        bias: whether there is a bias.
    """

    name = "unicornn"
    state_names = ("y", "z")

    def __init__(
        self, input_size: int, hidden_size: int, *, dt: float = 0.19, alpha: float = 30.65, bias: bool = True
    ) -> None:
        super().__init__(input_size, hidden_size)
        check_positive("cell 'unicornn': dt", dt)
        check_positive("cell 'unicornn': alpha", alpha)
        check_flag("cell 'unicornn': bias", bias)
        self.dt, self.alpha = dt, alpha
        self.weight_ih = nn.Parameter(nn.init.kaiming_uniform_(torch.empty(hidden_size, input_size)))
        self.w = nn.Parameter(torch.rand(hidden_size))
        self.c = nn.Parameter(nn.init.uniform_(torch.empty(hidden_size), -0.1, 0.1))
        self.bias_ih = nn.Parameter(torch.zeros(hidden_size)) if bias else None

    def project(self, xs: Tensor) -> Tensor:
        """Compute the input's part: (T, B, D) -> (T, B, H)."""
        return F.linear(xs, self.weight_ih, self.bias_ih)

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
