"""Zoneout: some units of the state keep their old value.

    s = d ⊙ s_before + (1 - d) ⊙ s_inner       while training, d ~ Bernoulli(rate) for each unit, row and step
    s = rate s_before + (1 - rate) s_inner     in evaluation

for each tensor s of the state, where s_inner is the inner cell's. If its output is one of its new state tensors, so it
is here: y = s.

Paper: Krueger, Maharaj, Kramár, Pezeshki, Ballas, Ke, Goyal, Bengio, Courville & Pal, "Zoneout: Regularizing RNNs by
Randomly Preserving Hidden Activations", ICLR 2017.

What differs: nothing for `lstm`, whose h is computed from the c before zoneout, as in the paper. An output that is no
state tensor (a GRU's projection, the sum of `residual`) is handed on as it is; so zoneout goes inside of those.
"""

from typing import Any

import torch
from torch import Tensor

import rnnkit
from rnnkit import CellLike, Projected, State
from rnnkit_wrappers._states import continuous_names


class Zoneout(rnnkit.Wrapper):
    """Any cell, some units of whose state keep their old value (Krueger 2017).

    Args:
        input_size: D.
        hidden_size: H.
        rate: how probably a unit keeps its old value: a number for all state tensors, or a table such as
            {"h": 0.05, "c": 0.5}; a tensor that the table leaves out is left alone, as integers always are.
        inner: the cell: a name, an expression, a class or a `functools.partial` of one.
        **options: of the inner cell.
    """

    name = "zoneout"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        rate: float | dict[str, float] = 0.1,
        inner: CellLike = "lstm",
        **options: Any,
    ) -> None:
        super().__init__(input_size, hidden_size, inner=inner, **options)
        rates = self.rates_for("rate", rate, continuous_names(self))
        self.rates = {name: value for name, value in rates.items() if value}

    def project(self, xs: Tensor) -> Projected:
        """Draw, beside the inner projection, which units keep their value: (T, B, ...) for each state with a rate."""
        if not self.training:
            return (self.inner.project(xs),)
        shapes = {name: t.shape for name, t in zip(self.state_names, self.initial_state(xs.shape[1]), strict=True)}
        drawn = (torch.rand(len(xs), *shapes[name], device=xs.device) < rate for name, rate in self.rates.items())
        return (self.inner.project(xs), *drawn)

    def step(self, p: Any, state: State) -> tuple[Tensor, State]:
        """Advance the inner cell one step and mix its new state with the old one."""
        return self.advance(p, state, state)

    def advance(self, p: Any, read: State, state: State) -> tuple[Tensor, State]:
        """Advance the inner cell by what it is to read; what is kept is the whole old state."""
        inner, *kept = p
        y, new = self.inner.advance(inner, read, state)
        masks = dict(zip(self.rates, kept, strict=False))
        zoned = tuple(
            self._mixed(name, before, after, masks.get(name))
            for name, before, after in zip(self.state_names, state, new, strict=True)
        )
        same_state = next((k for k, tensor in enumerate(new) if tensor is y), None)
        return y if same_state is None else zoned[same_state], zoned

    def _mixed(self, name: str, before: Tensor, after: Tensor, kept: Tensor | None) -> Tensor:
        if name not in self.rates:
            return after
        if kept is None:
            return self.rates[name] * before + (1 - self.rates[name]) * after
        return torch.where(kept, before, after)

    def extra_repr(self) -> str:
        """Show the sizes and the rates."""
        return f"{super().extra_repr()}, rate={self.rates}"


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer zoneout."""
    return [Zoneout]
