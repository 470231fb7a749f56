"""coRNN: coupled oscillators, driven by the input and damped, in steps of time Δt.

    z = z + Δt (tanh(W y + b_h + Z z + V x + b_i) - γ y - ε z),  y = y + Δt z        velocity, then position

Paper: Rusch & Mishra, "Coupled Oscillatory Recurrent Neural Network (coRNN)", ICLR 2021.

What differs: nothing; it is the explicit version, which damps the old z. Δt, γ and ε are those for sequential MNIST.

When to use it: for very long sequences of smooth inputs; tune dt, gamma and epsilon, for all depends on them.
"""

from typing import Annotated

import torch
from torch import Tensor, nn

import rnnkit
from rnnkit import State
from rnnkit.errors import check_positive
from rnnkit_zoo._stacked import Stacked
from rnnkit_zoo._starts import D, H, root, starting, uniform


class CoRNN(Stacked):
    """Coupled oscillatory recurrent network (Rusch 2021).

    State: y, z (B, H). Parameters: weight_ih (H, D), weight_hh and weight_zh (H, H), bias_ih and bias_hh (H,).

    Args:
        dt: Δt, the step of time.
        gamma: γ, how strongly an oscillator is pulled back.
        epsilon: ε, how strongly it is damped.
    """

    name = "cornn"
    state_names = ("y", "z")
    gates = blocks = ("z",)
    weight_zh: Annotated[nn.Parameter, "H, H"]
    starts = starting(uniform(1 / root(D + 2 * H)))

    def __init__(
        self, input_size: int, hidden_size: int, *, dt: float = 0.042, gamma: float = 2.7, epsilon: float = 4.7
    ) -> None:
        self.check(check_positive, dt=dt, gamma=gamma, epsilon=epsilon)
        super().__init__(input_size, hidden_size)
        self.dt, self.gamma, self.epsilon = dt, gamma, epsilon

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, H), y and z (B, H)."""
        y, z = state
        drive = torch.tanh(self.preactivations(p, y)[0] + z @ self.weight_zh.t()) - self.gamma * y
        z = z + self.dt * (drive - self.epsilon * z)
        y = y + self.dt * z
        return y, (y, z)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the coRNN."""
    return [CoRNN]
