"""Minimal gated unit: a GRU whose one gate both resets and updates.

    f = σ(W_f x + b_if + U_f h + b_hf)
    n = tanh(W_n x + b_in + U_n (f ⊙ h) + b_hn)
    h = (1 - f) ⊙ h + f ⊙ n,  y = h

Paper: Zhou, Wu, Zhang & Zhou, "Minimal Gated Unit for Recurrent Neural Networks", International Journal of Automation
and Computing 13(3), 2016.

Gate order: f, n in the rows of every weight.

What differs: nothing. The paper calls f a forget gate, but an open f lets in and a closed one keeps.

When to use it: where a GRU works and two thirds of its parameters should do.
"""

import torch
from torch import Tensor

import rnnkit
from rnnkit import State
from rnnkit_zoo._apart import Apart


class MGU(Apart):
    """Minimal gated unit (Zhou 2016).

    State: h (B, H). Parameters in the rows f, n: weight_ih (2H, D), weight_hh (2H, H), bias_ih and bias_hh (2H,).
    """

    name = "mgu"
    gates = blocks = ("f", "n")

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 2H), h (B, H)."""
        (h,) = state
        p_f, p_n = p.chunk(2, dim=1)
        f = torch.sigmoid(p_f + self.product("f", h))
        n = torch.tanh(p_n + self.product("n", f * h))
        h = (1 - f) * h + f * n
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the MGU."""
    return [MGU]
