"""Recurrent additive network: an LSTM whose content is linear in the input alone.

    i, f = σ(W x + b_ih + U h + b_hh)
    c = i ⊙ (W_c x) + f ⊙ c,  h = g(c),  y = h                 g: tanh or the identity

Paper: Lee, Levy & Zettlemoyer, "Recurrent Additive Networks", arXiv 1705.07393, 2017.

What differs: nothing.

When to use it: where an LSTM works and its state should be readable: c is a weighted sum of the inputs.
"""

from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit_zoo._stacked import Stacked
from rnnkit_zoo._starts import starting


class RAN(Stacked):
    """Recurrent additive network (Lee 2017).

    State: h, c (B, H). Parameters: of i, f, weight_ih (2H, D), weight_hh (2H, H), biases (2H,); weight_ic (H, D), W_c.

    Args:
        nonlinearity: g of the output, tanh or identity.
    """

    name = "ran"
    state_names = ("h", "c")
    gates = blocks = ("i", "f")
    forget_gate, input_gate = "f", "i"
    weight_ic: Annotated[nn.Parameter, "H, D"]
    starts = starting(bias_ih=0, bias_hh=0)

    def __init__(self, input_size: int, hidden_size: int, *, nonlinearity: str = "tanh", bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias=bias)
        self.nonlinearity = self.chosen(("tanh", "identity"), nonlinearity=nonlinearity)

    def project(self, xs: Tensor) -> Any:
        """Compute the gates' part and the content: (T, B, D) -> (T, B, 2H) and W_c x (T, B, H)."""
        return super().project(xs), F.linear(xs, self.weight_ic)

    def step(self, p: tuple[Tensor, Tensor], state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 2H) and (B, H), h and c (B, H)."""
        (h, c), (i, f) = state, self.preactivations(p[0], state[0])
        c = torch.sigmoid(i) * p[1] + torch.sigmoid(f) * c
        h = torch.tanh(c) if self.nonlinearity == "tanh" else c
        return h, (h, c)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the RAN."""
    return [RAN]
