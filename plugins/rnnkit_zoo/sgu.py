"""Simple gated unit: the input acts on the state by multiplication, twice, and one gate mixes in the result.

    x_g = W_xh x + b_ig
    z_g = tanh(W_zxh (x_g ⊙ h))
    z_out = softplus(z_g ⊙ h)
    z = hardσ(W_xz x + b_iz + W_hz h + b_hz),  hardσ(s) = min(max(s/5 + 1/2, 0), 1)
    h = (1 - z) ⊙ h + z ⊙ z_out,  y = h

Paper: Gao & Glowacka, "Deep Gate Recurrent Neural Network", ACML, PMLR 63, 2016.

Gate order: g, z in the rows of weight_ih.

What differs: nothing; the hard sigmoid is that of Theano, in which the paper's networks were written.

When to use it: where a GRU learns too slowly; states are positive once they have been written.
"""

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit_zoo._stacked import Stacked


class SGU(Stacked):
    """Simple gated unit (Gao & Glowacka 2016).

    State: h (B, H). Parameters: weight_ih (2H, D) and bias_ih (2H,) in the rows g, z; weight_hh (H, H) and bias_hh
    (H,) for z; weight_zxh (H, H).
    """

    name = "sgu"
    blocks = ("g", "z")
    recurrent_blocks = ("z",)
    weight_zxh: Annotated[nn.Parameter, "H, H"]

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 2H), h (B, H)."""
        (h,) = state
        x_g, x_z = p.chunk(2, dim=1)
        z_g = torch.tanh(F.linear(x_g * h, self.weight_zxh))
        z = torch.clamp(0.2 * (x_z + F.linear(h, self.weight_hh, self.bias_hh)) + 0.5, 0, 1)
        h = (1 - z) * h + z * F.softplus(z_g * h)
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the simple gated unit."""
    return [SGU]
