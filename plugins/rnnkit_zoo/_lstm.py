"""What the cells share that have an LSTM in them: its blocks, and what it makes of them."""

from collections.abc import Iterable
from typing import ClassVar

import torch
from torch import Tensor

from rnnkit_zoo._stacked import Stacked


class LSTMLike(Stacked):
    """A cell with the four blocks of an LSTM, i, f, g, o, in the rows of weight_ih and weight_hh."""

    state_names: tuple[str, ...] = ("h", "c")
    gates = blocks = ("i", "f", "g", "o")
    forget_gate: ClassVar[str] = "f"
    input_gate: ClassVar[str] = "i"

    @staticmethod
    def lstm(preactivations: Iterable[Tensor], c: Tensor) -> tuple[Tensor, Tensor]:
        """Return h and c of an LSTM: of its four blocks before their functions, and the c before, each (B, H)."""
        i, f, g, o = preactivations
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c
