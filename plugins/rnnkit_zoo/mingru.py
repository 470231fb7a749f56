"""minGRU: a GRU whose gate and candidate see the input alone.

    z = σ(W_z x + b_z)
    n = W_n x + b_n
    h = (1 - z) ⊙ h + z ⊙ n,  y = h

Paper: Feng et al., "Were RNNs All We Needed?", arXiv 2410.01201, 2024.

Gate order: z, n in the rows of the weight.

What differs: nothing; the paper's variant in log space, whose candidate is made positive, is another cell.

When to use it: where speed on long sequences counts, in several layers, since one alone sees its past only as a
weighted mean.
"""

import torch
from torch import Tensor

import rnnkit
from rnnkit import Projected, State
from rnnkit_zoo._linear import Linear


class MinGRU(Linear):
    """Minimal GRU without products of h (Feng 2024).

    State: h (B, H). Parameters in the rows z, n: linear.weight (2H, D) and linear.bias (2H,), as of torch.nn.Linear.
    """

    name = "mingru"
    rows = "2H"

    def project(self, xs: Tensor) -> Projected:
        """Compute the gate and what it lets in: (T, B, D) -> two of (T, B, H)."""
        z, n = self.linear(xs).chunk(2, dim=2)
        z = torch.sigmoid(z)
        return 1 - z, z * n

    def step(self, p: tuple[Tensor, Tensor], state: State) -> tuple[Tensor, State]:
        """Advance one step: p two of (B, H), h (B, H)."""
        (h,) = state
        kept, new = p
        h = kept * h + new
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the minGRU."""
    return [MinGRU]
