"""A highway past a cell, beside gates that see its state unit by unit."""

import math
from typing import Annotated

import torch
from torch import nn

from rnnkit_zoo._declared import Declared


class Highway(Declared):
    """A cell with a forget gate f, and a gate r between its state and a highway: the input, times α."""

    weight_ih: Annotated[nn.Parameter, "rows, D"]
    peephole_f: Annotated[nn.Parameter, "H"]
    peephole_r: Annotated[nn.Parameter, "H"]
    bias_f: Annotated[nn.Parameter, "H"]
    bias_r: Annotated[nn.Parameter, "H"]

    def __init__(self, input_size: int, hidden_size: int, *, highway_bias: float = 0.0) -> None:
        super().__init__(input_size, hidden_size)
        self.highway_bias, self.scale = highway_bias, math.sqrt(1 + 2 * math.exp(highway_bias))
        self.rows = hidden_size * (3 if input_size == hidden_size else 4)
        self.make_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw weight_ih within ±√(3/D), of f and r within ±√(1.5/D), v within ±√1.5; bias_f is 0, bias_r is b."""
        nn.init.uniform_(self.weight_ih, -((3 / self.input_size) ** 0.5), (3 / self.input_size) ** 0.5)
        self.weight_ih[self.hidden_size : 3 * self.hidden_size] *= 0.5**0.5
        for v in (self.peephole_f, self.peephole_r):
            nn.init.uniform_(v, -(1.5**0.5), 1.5**0.5)
        nn.init.zeros_(self.bias_f)
        nn.init.constant_(self.bias_r, self.highway_bias)
