"""Layer normalisation of a cell's input and output.

    x' = LN(x; α_input, b_input)
    y = LN(y_inner; α_output, b_output)

    LN(z; α, b) = α ⊙ (z - mean(z)) / √(var(z) + ε) + b, mean and biased variance over all units of z, ε = 1e-5

The inner cell sees x' in place of x; its state stays as it is.

Paper: Ba, Kiros & Hinton, "Layer Normalization", arXiv 1607.06450, 2016, section 3.

What differs: the paper normalises inside of the recurrence, which the cell `layernorm` does; this goes around any cell.
The input is normalised only on request: few features lose much by it, and a single one, which becomes zero, all.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import CellLike, Projected, State
from rnnkit.errors import check_flag


class Norm(rnnkit.Wrapper):
    """Any cell, with layer normalisation of its input and output (Ba 2016).

    Parameters beside the inner cell's: norm_input_weight and norm_input_bias (D,), norm_output_weight and
    norm_output_bias (O,); weights start at one and biases at zero.

    Args:
        input_size: D.
        hidden_size: H.
        input: whether the input is normalised.
        output: whether the output is.
        inner: the cell: a name, an expression, a class or a `functools.partial` of one.
        **options: of the inner cell.
    """

    name = "norm"

    norm_input_weight: nn.Parameter | None
    norm_input_bias: nn.Parameter | None
    norm_output_weight: nn.Parameter | None
    norm_output_bias: nn.Parameter | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        input: bool = False,
        output: bool = True,
        inner: CellLike = "lstm",
        **options: Any,
    ) -> None:
        super().__init__(input_size, hidden_size, inner=inner, **options)
        for place, wanted, width in (("input", input, input_size), ("output", output, self.output_size)):
            check_flag(f"cell {self.name!r}: {place}", wanted)
            for kind in ("weight", "bias"):
                self.register_parameter(f"norm_{place}_{kind}", nn.Parameter(torch.empty(width)) if wanted else None)
        self._reset_own()

    def reset_parameters(self) -> None:
        """Draw the inner cell's parameters again; set the norms' weights to one and biases to zero."""
        super().reset_parameters()
        self._reset_own()

    def _reset_own(self) -> None:
        for name, parameter in self.named_parameters(recurse=False):
            nn.init.constant_(parameter, 1.0 if name.endswith("weight") else 0.0)

    def project(self, xs: Tensor) -> Projected:
        """Return what the inner cell makes of the normalised input."""
        return self.inner.project(normalised(xs, self.norm_input_weight, self.norm_input_bias))

    def step(self, p: Any, state: State) -> tuple[Tensor, State]:
        """Advance the inner cell one step and normalise its output."""
        return self.advance(p, state, state)

    def advance(self, p: Any, read: State, state: State) -> tuple[Tensor, State]:
        """Advance the inner cell by what it is to read, and normalise its output."""
        y, state = self.inner.advance(p, read, state)
        return normalised(y, self.norm_output_weight, self.norm_output_bias), state


def normalised(z: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """Normalise over the last dimension, then scale and shift; without a weight, leave as it is."""
    return z if weight is None else F.layer_norm(z, weight.shape, weight, bias, eps=1e-5)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer layer normalisation."""
    return [Norm]
