"""Variational dropout: one mask for the whole sequence, on the input and on what the recurrent products read.

    (y, s) = step(m_x ⊙ x, m_s ⊙ s),  m = Bernoulli(1 - rate) / (1 - rate), drawn once a sequence, for each row and unit

In evaluation there are no masks.

Paper: Gal & Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks", NIPS 2016,
with tied weights: all gates of a step see the same mask.

What differs: a number as `rate` masks the first state tensor alone, h, which is what the products of the usual cells
read, and what a cell hands on beside its products stays whole, as a GRU's z ⊙ h does: Keras' recurrent_dropout. Kept
units are scaled up while training, instead of down in evaluation.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

import rnnkit
from rnnkit import CellLike, Projected, State
from rnnkit.errors import check_rate
from rnnkit_wrappers._states import continuous_names


class Variational(rnnkit.Wrapper):
    """Any cell, with dropout whose mask stays the same throughout the sequence (Gal & Ghahramani 2016).

    Args:
        input_size: D.
        hidden_size: H.
        rate: of dropout on what the recurrent products read of the state: a number for the first state tensor, or a
            table by name, such as {"h": 0.2}. A cell without an `advance` of its own reads the masked state in all of
            its step.
        input_rate: of dropout on the input.
        inner: the cell: a name, an expression, a class or a `functools.partial` of one.
        **options: of the inner cell.
    """

    name = "variational"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        rate: float | dict[str, float] = 0.1,
        input_rate: float = 0.1,
        inner: CellLike = "lstm",
        **options: Any,
    ) -> None:
        super().__init__(input_size, hidden_size, inner=inner, **options)
        check_rate(f"cell {self.name!r}: input_rate", input_rate)
        names = continuous_names(self)
        rates = self.rates_for("rate", rate, names if isinstance(rate, dict) else names[:1])
        self.rates = {name: value for name, value in rates.items() if value}
        self.input_rate = float(input_rate)

    def project(self, xs: Tensor) -> Projected:
        """Project the input behind its mask, and draw a mask (B, ...) for each state with a rate, for all steps."""
        if not self.training:
            return (self.inner.project(xs),)
        if self.input_rate:
            xs = xs * F.dropout(torch.ones_like(xs[0].real), self.input_rate)
        state = dict(zip(self.state_names, self.initial_state(xs.shape[1]), strict=True))
        masks = (F.dropout(xs.real.new_ones(state[name].shape), rate) for name, rate in self.rates.items())
        return (self.inner.project(xs), *(mask.expand(len(xs), *mask.shape) for mask in masks))

    def step(self, p: Any, state: State) -> tuple[Tensor, State]:
        """Advance the inner cell one step, which reads the state behind its masks."""
        return self.advance(p, state, state)

    def advance(self, p: Any, read: State, state: State) -> tuple[Tensor, State]:
        """Advance the inner cell, which reads `read` behind its masks and hands on `state`."""
        inner, *drawn = p
        masks = dict(zip(self.rates, drawn, strict=False))
        named = zip(self.state_names, read, strict=True)
        masked = tuple(tensor * masks[name] if name in masks else tensor for name, tensor in named)
        return self.inner.advance(inner, masked, state)

    def extra_repr(self) -> str:
        """Show the sizes and the rates."""
        return f"{super().extra_repr()}, rate={self.rates}, input_rate={self.input_rate}"


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer variational dropout."""
    return [Variational]
