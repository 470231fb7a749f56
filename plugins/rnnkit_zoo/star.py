"""Stackable recurrent cell: one gate between the state and the input, made for stacks of many layers.

    k = σ(W_k x + b_ik + V_k h + b_hk)
    z = tanh(W_z x + b_iz)
    h = tanh((1 - k) ⊙ h + k ⊙ z),  y = h

Paper: Turkoglu, D'Aronco, Wegner & Schindler, "Gating Revisited: Deep Multi-layer RNNs That Can Be Trained",
IEEE TPAMI 44(8), 2022 (arXiv 1911.11033, 2019).

Gate order: z, k in the rows of weight_ih.

What differs: nothing; where the longest lag is known, the authors start the bias of k by it, as `rnnkit.init.chrono_`;
their code for the copying and adding tasks lets in more than is forgotten, by JANET's β.

When to use it: in deep stacks, of four layers and many more: its gradient neither grows nor fades from layer to layer.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit_zoo._stacked import Stacked
from rnnkit_zoo._starts import ORTHOGONAL, starting


class STAR(Stacked):
    """Stackable recurrent cell (Turkoglu 2019).

    State: h (B, H). Parameters: weight_ih (2H, D) and bias_ih (2H,) in the rows z, k; weight_hh (H, H) and bias_hh
    (H,) for k.
    """

    name = "star"
    blocks = ("z", "k")
    recurrent_blocks = ("k",)
    starts = starting(ORTHOGONAL, bias_ih=0, bias_hh=0)

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 2H), h (B, H)."""
        (h,) = state
        z, k = p.chunk(2, dim=1)
        k = torch.sigmoid(k + F.linear(h, self.weight_hh, self.bias_hh))
        h = torch.tanh((1 - k) * h + k * torch.tanh(z))
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the stackable recurrent cell."""
    return [STAR]
