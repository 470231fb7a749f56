"""The parameters that most cells of the catalogue share: blocks of rows, one for each gate, in torch's layout."""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit.errors import check_flag


class Stacked(rnnkit.Cell):
    """A cell whose products with the input and with h are blocks of H rows in one weight each.

    Where both have the same blocks, it says `gates = blocks = (...)`, so that `rnnkit.init` knows them too.

    Parameters, G `blocks`, R `recurrent_blocks`: weight_ih `(G*H, D)`, weight_hh `(R*H, H)`, bias_ih `(G*H,)` and
    bias_hh `(R*H,)`, both absent with `bias=False`.

    Args:
        input_size: D.
        hidden_size: H.
        bias: whether there are biases.
    """

    blocks: ClassVar[tuple[str, ...]]
    """Names of the blocks of weight_ih, in the order of the rows."""

    recurrent_blocks: ClassVar[tuple[str, ...] | None] = None
    """Names of the blocks of weight_hh; None: as `blocks`."""

    def __init__(self, input_size: int, hidden_size: int, *, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size)
        check_flag(f"cell {self.name!r}: bias", bias)
        recurrent = self.blocks if self.recurrent_blocks is None else self.recurrent_blocks
        rows, recurrent_rows = len(self.blocks) * hidden_size, len(recurrent) * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh = nn.Parameter(torch.empty(recurrent_rows, hidden_size))
        self.bias_ih: nn.Parameter | None
        self.bias_hh: nn.Parameter | None
        self.register_parameter("bias_ih", nn.Parameter(torch.empty(rows)) if bias else None)
        self.register_parameter("bias_hh", nn.Parameter(torch.empty(recurrent_rows)) if bias else None)
        self.add_parameters()
        self.reset_parameters()

    def add_parameters(self) -> None:
        """Add what a cell has beside these, before all are drawn."""

    def reset_parameters(self) -> None:
        """Draw every parameter from U(-1/√H, 1/√H), as torch does; a cell whose paper says otherwise does that."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def project(self, xs: Tensor) -> Tensor:
        """Compute the input's part of all blocks: (T, B, D) -> (T, B, G*H)."""
        return F.linear(xs, self.weight_ih, self.bias_ih)

    def products(self, h: Tensor) -> tuple[Tensor, ...]:
        """Return the recurrent blocks W_h h + b_h of h (B, H): each (B, H)."""
        return torch.split(F.linear(h, self.weight_hh, self.bias_hh), self.hidden_size, dim=1)
