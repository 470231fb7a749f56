"""minLSTM: an LSTM whose gates and candidate see the input alone, and whose gates sum to one.

    f = σ(W_f x + b_f)
    i = σ(W_i x + b_i)
    n = W_n x + b_n
    h = (f ⊙ h + i ⊙ n) / (f + i),  y = h

Paper: Feng et al., "Were RNNs All We Needed?", arXiv 2410.01201, 2024.

Gate order: f, i, n in the rows of the weight.

What differs: nothing; the paper's variant in log space, whose candidate is made positive, is another cell.

When to use it: as `mingru`, with a gate more that tells what is kept from what is let in.
"""

import torch
from torch import Tensor

import rnnkit
from rnnkit import Projected, State
from rnnkit_zoo._linear import Linear


class MinLSTM(Linear):
    """Minimal LSTM without products of h (Feng 2024).

    State: h (B, H). Parameters in the rows f, i, n: linear.weight (3H, D) and linear.bias (3H,), as of torch.nn.Linear.
    """

    name = "minlstm"
    rows = "3H"

    def project(self, xs: Tensor) -> Projected:
        """Compute the share that is kept and what is let in: (T, B, D) -> two of (T, B, H)."""
        f, i, n = self.linear(xs).chunk(3, dim=2)
        f, i = torch.sigmoid(f), torch.sigmoid(i)
        return f / (f + i), i / (f + i) * n

    def step(self, p: tuple[Tensor, Tensor], state: State) -> tuple[Tensor, State]:
        """Advance one step: p two of (B, H), h (B, H)."""
        (h,) = state
        kept, new = p
        h = kept * h + new
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the minLSTM."""
    return [MinLSTM]
