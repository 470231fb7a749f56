"""Residual connection around a cell.

    y = y_inner + x             where input and output have the same width
    y = y_inner + W_skip x      elsewhere

The state is the inner cell's.

Paper: He, Zhang, Ren & Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, equations 1 and 2; around
recurrent layers as in Wu et al., "Google's Neural Machine Translation System", arXiv 1609.08144, 2016, section 3.1.

What differs: from He et al., no nonlinearity follows the sum, as in Wu et al.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import CellLike, Projected, State


class Residual(rnnkit.Wrapper):
    """Any cell, with its input added to its output (He 2016).

    Parameters beside the inner cell's: weight_skip (O, D), only where the widths differ, from U(-1/√D, 1/√D).

    Args:
        input_size: D.
        hidden_size: H.
        inner: the cell: a name, an expression, a class or a `functools.partial` of one.
        **options: of the inner cell.
    """

    name = "residual"

    def __init__(self, input_size: int, hidden_size: int, *, inner: CellLike = "lstm", **options: Any) -> None:
        super().__init__(input_size, hidden_size, inner=inner, **options)
        widths = (self.output_size, input_size)
        self.weight_skip: nn.Parameter | None
        differ = self.output_size != input_size
        self.register_parameter("weight_skip", nn.Parameter(torch.empty(widths)) if differ else None)
        self._reset_own()

    def reset_parameters(self) -> None:
        """Draw the inner cell's parameters again, then the shortcut's."""
        super().reset_parameters()
        self._reset_own()

    def _reset_own(self) -> None:
        if self.weight_skip is not None:
            bound = self.input_size**-0.5
            nn.init.uniform_(self.weight_skip, -bound, bound)

    def project(self, xs: Tensor) -> Projected:
        """Return the shortcut (T, B, O) beside the inner projection."""
        shortcut = xs if self.weight_skip is None else F.linear(xs, self.weight_skip)
        return (self.inner.project(xs), shortcut)

    def step(self, p: Any, state: State) -> tuple[Tensor, State]:
        """Advance the inner cell one step and add the shortcut to its output."""
        return self.advance(p, state, state)

    def advance(self, p: Any, read: State, state: State) -> tuple[Tensor, State]:
        """Advance the inner cell by what it is to read, and add the shortcut to its output."""
        inner, shortcut = p
        y, state = self.inner.advance(inner, read, state)
        return y + shortcut, state


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the residual connection."""
    return [Residual]
