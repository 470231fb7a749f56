"""Recurrent additive network: an LSTM whose content is linear in the input alone.

    i = σ(W_i x + b_ii + U_i h + b_hi)        input gate
    f = σ(W_f x + b_if + U_f h + b_hf)        forget gate
    c = i ⊙ (W_c x) + f ⊙ c
    h = g(c),  y = h                          g: tanh or the identity

Paper: Lee, Levy & Zettlemoyer, "Recurrent Additive Networks", arXiv 1705.07393, 2017.

Gate order: i, f in the rows of every weight but W_c.

What differs: nothing.

When to use it: where an LSTM works and its state should be readable: c is a weighted sum of the inputs.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit.errors import UsageError
from rnnkit_zoo._stacked import Stacked


class RAN(Stacked):
    """Recurrent additive network (Lee 2017).

    State: h (B, H), c (B, H). Parameters in the rows i, f: weight_ih (2H, D), weight_hh (2H, H), bias_ih and bias_hh
    (2H,); weight_ic (H, D) is W_c.

    Args:
        input_size: D.
        hidden_size: H.
        nonlinearity: g of the output, tanh or identity.
        bias: whether the gates have biases.
    """

    name = "ran"
    state_names = ("h", "c")
    gates = blocks = ("i", "f")
    forget_gate = "f"
    input_gate = "i"

    def __init__(self, input_size: int, hidden_size: int, *, nonlinearity: str = "tanh", bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias=bias)
        if nonlinearity not in ("tanh", "identity"):
            raise UsageError(f"cell 'ran': nonlinearity is {nonlinearity!r}; it must be one of tanh, identity")
        self.nonlinearity = nonlinearity

    def add_parameters(self) -> None:
        """Add the content's weight W_c."""
        self.weight_ic = nn.Parameter(torch.empty(self.hidden_size, self.input_size))

    def project(self, xs: Tensor) -> Any:
        """Compute the gates' part and the content: (T, B, D) -> (T, B, 2H) and W_c x (T, B, H)."""
        return super().project(xs), F.linear(xs, self.weight_ic)

    def step(self, p: tuple[Tensor, Tensor], state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 2H) and (B, H), h and c (B, H)."""
        h, c = state
        (p_i, p_f), (h_i, h_f) = p[0].chunk(2, dim=1), self.products(h)
        c = torch.sigmoid(p_i + h_i) * p[1] + torch.sigmoid(p_f + h_f) * c
        h = torch.tanh(c) if self.nonlinearity == "tanh" else c
        return h, (h, c)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the RAN."""
    return [RAN]
