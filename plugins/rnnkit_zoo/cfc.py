"""CfC: the closed form of a liquid time-constant network, which moves between two candidates as time passes.

    b = tanh(W x + b_ih + U h + b_hh)                           the backbone that three heads share
    f = W_f b + b_f,  g = tanh(W_g b + b_g),  k = tanh(W_k b + b_k)
    h = σ(-f Δ) ⊙ g + (1 - σ(-f Δ)) ⊙ k,  y = h                Δ the time from step to step

Paper: Hasani et al., "Closed-form continuous-time neural networks", Nature Machine Intelligence 4, 2022.

Gate order: f, g, k in the rows of the heads' weight.

What differs: the backbone has one layer, of H units, and steps are equally far apart; the paper leaves its size, depth
and nonlinearity open, and takes Δ from the data. The published code has σ(f Δ + f'), with one head more.

When to use it: signals of a continuous process, as of control.
"""

import torch
from torch import Tensor, nn

import rnnkit
from rnnkit import State
from rnnkit.errors import check_positive
from rnnkit_zoo._stacked import Stacked


class CfC(Stacked):
    """Closed-form continuous-time cell (Hasani 2022).

    State: h (B, H). Parameters: the backbone's, weight_ih (H, D), weight_hh (H, H), bias_ih and bias_hh (H,); the
    heads' in the rows f, g, k, as of torch.nn.Linear: heads.weight (3H, H), heads.bias (3H,).

    Args:
        time_step: Δ.
    """

    name = "cfc"
    gates = blocks = ("b",)

    def __init__(self, input_size: int, hidden_size: int, *, time_step: float = 1.0, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias=bias)
        check_positive("cell 'cfc': time_step", time_step)
        self.time_step = time_step
        self.heads = nn.Linear(hidden_size, 3 * hidden_size, bias=bias)

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, H), h (B, H)."""
        (h,) = state
        (product,) = self.products(h)
        f, g, k = self.heads(torch.tanh(p + product)).chunk(3, dim=1)
        passed = torch.sigmoid(-self.time_step * f)
        h = passed * torch.tanh(g) + (1 - passed) * torch.tanh(k)
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the CfC."""
    return [CfC]
