"""coRNN: coupled oscillators, driven by the input and damped, in steps of time Δt.

    z = z + Δt (tanh(W y + b_h + Z z + V x + b_i) - γ y - ε z)        velocity
    y = y + Δt z                                                     position, of the new velocity

Paper: Rusch & Mishra, "Coupled Oscillatory Recurrent Neural Network (coRNN): An accurate and (gradient) stable
architecture for learning long time dependencies", ICLR 2021.

What differs: nothing; it is the paper's explicit version, where the old z is damped and not the new one. Δt, γ and ε
are the paper's for sequential MNIST; it tunes them for each task.

When to use it: for very long sequences of smooth inputs; tune dt, gamma and epsilon, for all depends on them.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit.errors import check_positive
from rnnkit_zoo._stacked import Stacked


class CoRNN(Stacked):
    """Coupled oscillatory recurrent network (Rusch 2021).

    State: y, z (B, H). Parameters: weight_ih (H, D), weight_hh and weight_zh (H, H), bias_ih and bias_hh (H,).

    Args:
        input_size: D.
        hidden_size: H.
        dt: Δt, the step of time.
        gamma: γ, how strongly an oscillator is pulled back.
        epsilon: ε, how strongly it is damped.
    """

    name = "cornn"
    state_names = ("y", "z")
    gates = blocks = ("z",)

    def __init__(
        self, input_size: int, hidden_size: int, *, dt: float = 0.042, gamma: float = 2.7, epsilon: float = 4.7
    ) -> None:
        for label, value in (("dt", dt), ("gamma", gamma), ("epsilon", epsilon)):
            check_positive(f"cell 'cornn': {label}", value)
        super().__init__(input_size, hidden_size)
        self.dt, self.gamma, self.epsilon = dt, gamma, epsilon

    def add_parameters(self) -> None:
        """Add what the velocities are coupled by."""
        self.weight_zh = nn.Parameter(torch.empty(self.hidden_size, self.hidden_size))

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, H), y and z (B, H)."""
        y, z = state
        force = torch.tanh(p + self.products(y)[0] + F.linear(z, self.weight_zh)) - self.gamma * y
        z = z + self.dt * (force - self.epsilon * z)
        y = y + self.dt * z
        return y, (y, z)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the coRNN."""
    return [CoRNN]
