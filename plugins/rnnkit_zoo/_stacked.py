"""The parameters that most cells of the catalogue share: blocks of rows, one for each gate, in torch's layout."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit.errors import check_flag
from rnnkit_zoo._declared import Declared


class Stacked(Declared):
    """A cell whose products with the input and with h are blocks of H rows in one weight each.

    Where both have the same blocks, it says `gates = blocks = (...)`, so that `rnnkit.init` knows them too.

    Parameters, G `blocks`, R `recurrent_blocks`: weight_ih `(G*H, D)`, weight_hh `(R*H, H)`, bias_ih `(G*H,)` and
    bias_hh `(R*H,)`, both absent with `bias=False`; where there are no recurrent blocks, neither are theirs.
    """

    blocks: ClassVar[tuple[str, ...]]
    """Names of the blocks of weight_ih, in the order of the rows."""

    recurrent_blocks: ClassVar[tuple[str, ...] | None] = None
    """Names of the blocks of weight_hh; None: as `blocks`."""

    weight_ih: nn.Parameter
    weight_hh: nn.Parameter
    bias_ih: nn.Parameter | None
    bias_hh: nn.Parameter | None

    def __init__(self, input_size: int, hidden_size: int, *, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size)
        self.check(check_flag, bias=bias)
        rows = {"ih": len(self.blocks) * hidden_size, "hh": len(self.recurrent_names()) * hidden_size}
        weights = {"weight_ih": (rows["ih"], input_size), "weight_hh": (rows["hh"], hidden_size)}
        biases = {"bias_ih": (rows["ih"],), "bias_hh": (rows["hh"],)}
        for name, shape in {**weights, **biases}.items():
            there = shape[0] and (bias or name in weights)
            self.register_parameter(name, nn.Parameter(torch.empty(shape)) if there else None)
        self.make_parameters()

    def recurrent_names(self) -> tuple[str, ...]:
        """Return the names of the blocks of weight_hh."""
        return self.blocks if self.recurrent_blocks is None else self.recurrent_blocks

    def gate_order(self) -> str:
        """Return the order of the blocks of rows; "" where a weight has one."""
        if len(self.blocks) < 2:
            return ""
        rows, recurrent = ", ".join(self.blocks), ", ".join(self.recurrent_names())
        if self.recurrent_blocks is None:
            return f"{rows} in the rows of every weight."
        also = f"; {recurrent} in those of weight_hh and bias_hh" if recurrent else ""
        return f"{rows} in the rows of weight_ih and bias_ih{also}."

    def preactivations(self, p: Tensor, h: Tensor) -> tuple[Tensor, ...]:
        """Return all blocks W x + b_i + U h + b_h, of the input's part p (B, G*H) and h (B, H): each (B, H)."""
        return (p + F.linear(h, self.weight_hh, self.bias_hh)).chunk(len(self.blocks), dim=1)

    def project(self, xs: Tensor) -> Tensor:
        """Compute the input's part of all blocks: (T, B, D) -> (T, B, G*H)."""
        return F.linear(xs, self.weight_ih, self.bias_ih)

    def products(self, h: Tensor) -> tuple[Tensor, ...]:
        """Return the recurrent blocks W_h h + b_h of h (B, H): each (B, H)."""
        return torch.split(F.linear(h, self.weight_hh, self.bias_hh), self.hidden_size, dim=1)
