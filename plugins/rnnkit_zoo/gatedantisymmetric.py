"""AntisymmetricRNN with an input gate, which shares its recurrent weights.

    s = (W - Wᵀ - γ I) h
    z = σ(s + V_z x + b_z)
    h = h + ε z ⊙ tanh(s + V_n x + b_n),  y = h

Paper: Chang, Chen, Haber & Chi, "AntisymmetricRNN: A Dynamical System View on Recurrent Neural Networks", ICLR 2019.

Gate order: z, n in the rows of weight_ih and bias_ih; weight_hh has no blocks.

What differs: nothing in the numbers; the paper notes that one triangle of W would do.

When to use it: as the AntisymmetricRNN, where inputs come that are to be passed over, such as noise.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit_zoo.antisymmetric import Antisymmetric


class GatedAntisymmetric(Antisymmetric):
    """Network with antisymmetric recurrent weights and an input gate (Chang 2019).

    State: h (B, H). Parameters: weight_ih (2H, D) and bias_ih (2H,) in the rows z, n; weight_hh (H, H). Initialised
    and built as `Antisymmetric`.
    """

    name = "gatedantisymmetric"
    blocks = ("z", "n")
    recurrent_blocks = ("s",)

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 2H), h (B, H)."""
        (h,) = state
        p_z, p_n = p.chunk(2, dim=1)
        s = F.linear(h, self.weight_hh - self.weight_hh.t()) - self.gamma * h
        h = h + self.epsilon * torch.sigmoid(p_z + s) * torch.tanh(p_n + s)
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the gated AntisymmetricRNN."""
    return [GatedAntisymmetric]
