"""The parameters that gated cells share, in torch's layout."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit


class Gated(rnnkit.Cell):
    """A cell whose gates are stacked in the rows of one input and one recurrent weight, as in torch.nn.

    Parameters, G = `gates`: weight_ih (G*H, D), weight_hh (G*H, H), bias_ih and bias_hh (G*H,); with
    `bias=False` the biases are absent.
    """

    gates: ClassVar[int]

    def __init__(self, input_size: int, hidden_size: int, *, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size)
        rows = self.gates * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh = nn.Parameter(torch.empty(rows, hidden_size))
        self.bias_ih: nn.Parameter | None
        self.bias_hh: nn.Parameter | None
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, nn.Parameter(torch.empty(rows)) if bias else None)
        self.add_parameters(bias)
        self.reset_parameters()

    def add_parameters(self, bias: bool) -> None:
        """Add what a cell has beside these, before all are drawn: the weights come first, as from torch's seed."""

    def reset_parameters(self) -> None:
        """Draw every parameter from U(-1/√H, 1/√H), in torch's order: the same seed gives torch's weights."""
        bound = self.hidden_size**-0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def project(self, xs: Tensor) -> Tensor:
        """Compute the input's part of all gates, biases included: (T, B, D) -> (T, B, G*H)."""
        if self.bias_ih is None or self.bias_hh is None:
            return F.linear(xs, self.weight_ih)
        return F.linear(xs, self.weight_ih, self.bias_ih + self.bias_hh)
