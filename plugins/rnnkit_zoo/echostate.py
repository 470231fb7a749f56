"""Echo state network: a random reservoir that stays as it is drawn; only what reads it is trained.

    n = tanh(W_in x + b + W h)
    h = (1 - α) h + α n,  y = h

Paper: Jaeger, "The 'echo state' approach to analysing and training recurrent neural networks", GMD Report 148, 2001;
the leak: Jaeger, Lukoševičius, Popovici & Siewert, "Optimization and applications of echo state networks with leaky-
integrator neurons", Neural Networks 20(3), 2007.

What differs: W is dense; nothing is fed back from the output.

When to use it: with a linear readout, on short training sets or as a baseline: nothing is propagated through time.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit.errors import check_rate
from rnnkit_zoo._reservoir import Reservoir


class EchoState(Reservoir):
    """Reservoir of an echo state network with leaky units (Jaeger 2001, 2007).

    State: h (B, H). Buffers: weight_ih (H, D), weight_hh (H, H), bias_ih (H,).

    Args:
        spectral_radius: the largest absolute eigenvalue that weight_hh is scaled to; below 1 the past fades.
        leak: α from 0 to 1, how much of h is new.
        scale: factor of weight_ih and bias_ih.
    """

    name = "echostate"

    def __init__(
        self, input_size: int, hidden_size: int, *, spectral_radius: float = 0.9, leak: float = 1.0, scale: float = 1.0
    ) -> None:
        super().__init__(input_size, hidden_size, spectral_radius=spectral_radius, scale=scale)
        self.check(check_rate, leak=leak)
        self.leak = leak

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, H), h (B, H)."""
        (h,) = state
        h = (1 - self.leak) * h + self.leak * torch.tanh(p + F.linear(h, self.weight_hh))
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the echo state network."""
    return [EchoState]
