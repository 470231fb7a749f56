"""MGU1: a minimal gated unit whose gate does not see the input.

    f = σ(U_f h + b_hf)
    n = tanh(W_n x + b_in + U_n (f ⊙ h) + b_hn)
    h = (1 - f) ⊙ h + f ⊙ n,  y = h

Paper: Heck & Salem, "Simplified Minimal Gated Unit Variations for Recurrent Neural Networks", IEEE Midwest Symposium on
Circuits and Systems, 2017.

Gate order: n alone in weight_ih and bias_ih; f, n in the rows of weight_hh and bias_hh.

What differs: nothing.

When to use it: where the MGU works and its input is wide, for the gate has no weights on the input.
"""

import torch
from torch import Tensor

import rnnkit
from rnnkit import State
from rnnkit_zoo._apart import Apart


class MGU1(Apart):
    """Minimal gated unit, variant 1: the gate sees h and a bias (Heck & Salem 2017).

    State: h (B, H). Parameters: weight_ih (H, D) and bias_ih (H,); in the rows f, n: weight_hh (2H, H) and
    bias_hh (2H,).
    """

    name = "mgu1"
    blocks = ("n",)
    recurrent_blocks = ("f", "n")

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, H), h (B, H)."""
        (h,) = state
        f = torch.sigmoid(self.product("f", h))
        n = torch.tanh(p + self.product("n", f * h))
        h = (1 - f) * h + f * n
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the MGU1."""
    return [MGU1]
