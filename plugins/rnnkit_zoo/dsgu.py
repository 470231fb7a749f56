"""Deep simple gated unit: the simple gated unit with one more product on the way to its candidate.

    x_g = W_xh x + b_ig
    z_g = tanh(W_zxh (x_g ⊙ h))
    z_out = σ(W_go (z_g ⊙ h))
    z = hardσ(W_xz x + b_iz + W_hz h + b_hz),  hardσ(s) = min(max(s/5 + 1/2, 0), 1)
    h = (1 - z) ⊙ h + z ⊙ z_out,  y = h

Paper: Gao & Glowacka, "Deep Gate Recurrent Neural Network", ACML, PMLR 63, 2016.

Gate order: g, z in the rows of weight_ih.

What differs: nothing; the hard sigmoid is that of Theano, in which the paper's networks were written.

When to use it: as `sgu`, where the sequences are harder; its states stay between 0 and 1.
"""

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit_zoo._stacked import Stacked


class DSGU(Stacked):
    """Deep simple gated unit (Gao & Glowacka 2016).

    State: h (B, H). Parameters: weight_ih (2H, D) and bias_ih (2H,) in the rows g, z; weight_hh (H, H) and bias_hh
    (H,) for z; weight_zxh and weight_go (H, H).
    """

    name = "dsgu"
    blocks = ("g", "z")
    recurrent_blocks = ("z",)
    weight_zxh: Annotated[nn.Parameter, "H, H"]
    weight_go: Annotated[nn.Parameter, "H, H"]

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 2H), h (B, H)."""
        (h,) = state
        x_g, x_z = p.chunk(2, dim=1)
        z_g = torch.tanh(F.linear(x_g * h, self.weight_zxh))
        z_out = torch.sigmoid(F.linear(z_g * h, self.weight_go))
        z = torch.clamp(0.2 * (x_z + F.linear(h, self.weight_hh, self.bias_hh)) + 0.5, 0, 1)
        h = (1 - z) * h + z * z_out
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the deep simple gated unit."""
    return [DSGU]
