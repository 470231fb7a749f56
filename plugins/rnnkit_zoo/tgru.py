"""T-GRU: strongly typed, with gates that see this input and the last one instead of the state.

    z = W_z x + b_iz + V_z x' + b_hz             x' is the input of the step before
    f = σ(W_f x + b_if + V_f x' + b_hf)
    o = tanh(W_o x + b_io + V_o x' + b_ho)
    h = f ⊙ h + z ⊙ o,  y = h

Paper: Balduzzi & Ghifary, "Strongly-Typed Recurrent Neural Networks", ICML 2016.

What differs: nothing. x' is a state, zeros before the first step.

When to use it: instead of a GRU, where what a unit means is to stay the same from step to step.
"""

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit_zoo._stacked import Stacked


class TGRU(Stacked):
    """Strongly-typed gated recurrent unit (Balduzzi 2016).

    State: h (B, H), x (B, D). Parameters in the rows z, f, o: weight_ih and weight_hh (3H, D), bias_ih and bias_hh
    (3H,).
    """

    name = "tgru"
    state_names = ("h", "x")
    state_widths = ("H", "D")
    blocks = ("z", "f", "o")
    weight_hh: Annotated[nn.Parameter, "3H, D"]

    def project(self, xs: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Compute the input's part of all blocks, and hand on the input: (T, B, 3H), (T, B, D)."""
        return super().project(xs), xs

    def typed(self, s: Tensor, last: Tensor) -> tuple[Tensor, ...]:
        """Return z, f and o before their functions: s (B, 3H), last (B, D) -> each (B, H)."""
        return (s + F.linear(last, self.weight_hh, self.bias_hh)).chunk(3, dim=1)

    def step(self, p: tuple[Tensor, Tensor], state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 3H) and (B, D), h (B, H), the last x (B, D)."""
        h, last = state
        s, x = p
        z, f, o = self.typed(s, last)
        h = torch.sigmoid(f) * h + z * torch.tanh(o)
        return h, (h, x)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the T-GRU."""
    return [TGRU]
