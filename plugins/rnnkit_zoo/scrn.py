"""Structurally constrained recurrent network: a simple RNN beside context units that change slowly.

    s = (1 - α) B x + α s
    h = σ(P s + A x + R h)
    y = (h, s)

Paper: Mikolov, Joulin, Chopra, Mathieu & Ranzato, "Learning Longer Memory in Recurrent Neural Networks", ICLR 2015
(arXiv 1412.7753, 2014).

Gate order: A, B in the rows of weight_ih; R, P in the columns of weight_hh.

What differs: the paper's output U h + V s is a readout of y; α is fixed, as in its main results, not learnt for each
unit. In the authors' code h sees the s of the step before.

When to use it: where a topic or trend of long ago is to be remembered by few parameters, as in language modelling.
"""

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit_zoo._context import Context


class SCRN(Context):
    """Structurally constrained recurrent network (Mikolov 2014).

    State: h (B, H), s (B, C). Output: (B, H + C). Parameters: weight_ih (H + C, D), weight_hh (H, H + C).

    Args:
        context_size: C, how many units change slowly; the paper has up to 40 beside 100 to 300.
        alpha: α, how much of the context stays at each step.
    """

    name = "scrn"
    state_names = ("h", "s")
    state_widths = ("H", "context_size")
    weight_ih: Annotated[nn.Parameter, "H + context_size, D"]
    weight_hh: Annotated[nn.Parameter, "H, H + context_size"]

    def project(self, xs: Tensor) -> Tensor:
        """Compute A x and B x: (T, B, D) -> (T, B, H + C)."""
        return F.linear(xs, self.weight_ih)

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, H + C), h (B, H), s (B, C)."""
        h, s = state
        s = self.averaged(p[:, self.hidden_size :], s)
        h = torch.sigmoid(p[:, : self.hidden_size] + F.linear(torch.cat((h, s), dim=1), self.weight_hh))
        return torch.cat((h, s), dim=1), (h, s)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the SCRN."""
    return [SCRN]
