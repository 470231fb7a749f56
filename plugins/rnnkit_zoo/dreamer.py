"""DreamerV3's GRU: layer norm over all gates, and a recurrent weight of blocks on the diagonal.

    (r, n, z) = LN(W x + U h)                                       U_r, U_n, U_z block-diagonal
    h = h + σ(z - 1) ⊙ (tanh(σ(r) ⊙ n) - h),  y = h
    LN(a) = α ⊙ (a - mean(a)) / √(var(a) + ε) + β                   over all units of a, ε = 1e-3

Paper: Hafner, Pasukonis, Ba & Lillicrap, "Mastering Diverse Domains through World Models", arXiv 2301.04104, 2023.

What differs: no layers before the cell, which in the later code have the normalisation; one block by default, not 8.

When to use it: world models, and other large states whose whole recurrent weight would cost too much.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit_zoo._declared import Declared


class Dreamer(Declared):
    """Block-diagonal GRU with layer norm (Hafner 2023).

    State: h (B, H). Parameters in the rows r, n, z: as of torch.nn.Linear, input.weight (3H, D), and recurrent.0.weight
    (3H / K, H / K) and so on for each block; as of torch.nn.LayerNorm, norm.weight and norm.bias (3H,), α and β.

    Args:
        blocks: K, which divides H.
    """

    name = "dreamer"

    def __init__(self, input_size: int, hidden_size: int, *, blocks: int = 1) -> None:
        super().__init__(input_size, hidden_size)
        self.check_divisor(blocks=blocks)
        width = hidden_size // blocks
        self.input = nn.Linear(input_size, 3 * hidden_size, bias=False)
        self.recurrent = nn.ModuleList(nn.Linear(width, 3 * width, bias=False) for _ in range(blocks))
        self.norm = nn.LayerNorm(3 * hidden_size, eps=1e-3)

    def project(self, xs: Tensor) -> Tensor:
        """Compute W x: (T, B, D) -> (T, B, 3H)."""
        return F.linear(xs, self.input.weight)

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 3H), h (B, H)."""
        (h,) = state
        pieces = zip(self.recurrent, h.chunk(len(self.recurrent), dim=1), strict=True)
        products = zip(*(product(piece).chunk(3, dim=1) for product, piece in pieces), strict=True)
        r, n, z = self.norm(p + torch.cat([piece for gate in products for piece in gate], dim=1)).chunk(3, dim=1)
        h = h + torch.sigmoid(z - 1) * (torch.tanh(torch.sigmoid(r) * n) - h)
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer DreamerV3's GRU."""
    return [Dreamer]
