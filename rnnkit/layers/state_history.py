"""The tap: how the states of every step leave any unroller."""

from typing import Any

import torch
from torch import Tensor

from rnnkit.core.cell import Cell, State
from rnnkit.layers.wrapper import Wrapper


class Tap(Wrapper):
    """A cell whose output carries its new state beside its own output, so that an unroller hands out both.

    Args:
        inner: the cell, built already; all its states of floating point, so that they fit into an output.
    """

    name = "tap"

    def __init__(self, inner: Cell) -> None:
        Cell.__init__(self, inner.input_size, inner.hidden_size)
        self.inner = inner
        self.state_names = inner.state_names

    def step(self, p: Any, state: State) -> tuple[Tensor, State]:
        """Advance the inner cell one step."""
        y, state = self.inner.step(p, state)
        return torch.cat(
            [y, *(tensor.flatten(1) if tensor.ndim > 1 else tensor.unsqueeze(1) for tensor in state)], 1
        ), state


def untap(ys: Tensor, last: State) -> tuple[Tensor, State]:
    """Take a tapped output (T, B, O + states) apart: output and states over time, each (T, B, ...)."""
    widths = [tensor.shape[1:].numel() for tensor in last]
    y, *parts = torch.split(ys, [ys.shape[2] - sum(widths), *widths], dim=2)
    # Contiguous, so that the next layer's products round as without a tap.
    return y.contiguous(), tuple(
        part.reshape(*ys.shape[:2], *tensor.shape[1:]).to(tensor.dtype)
        for part, tensor in zip(parts, last, strict=True)
    )
