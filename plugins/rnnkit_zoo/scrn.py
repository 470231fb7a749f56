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

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit.errors import check_rate, check_whole
from rnnkit_zoo._declared import Declared


class SCRN(Declared):
    """Structurally constrained recurrent network (Mikolov 2014).

    State: h (B, H), s (B, C). Output: (B, H + C). Parameters: weight_ih (H + C, D), weight_hh (H, H + C).

    Args:
        context_size: C, how many units change slowly; the paper has up to 40 beside 100 to 300.
        alpha: α, how much of the context stays at each step.
    """

    name = "scrn"
    state_names = ("h", "s")

    def __init__(self, input_size: int, hidden_size: int, *, context_size: int = 40, alpha: float = 0.95) -> None:
        super().__init__(input_size, hidden_size)
        self.check(check_whole, context_size=context_size)
        self.check(check_rate, alpha=alpha)
        self.context_size, self.alpha = context_size, alpha
        self.weight_ih = nn.Parameter(torch.empty(self.output_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(hidden_size, self.output_size))
        self.reset_parameters()

    @property
    def output_size(self) -> int:
        """Width of y: H + C."""
        return self.hidden_size + self.context_size

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Widths of h and s: H and C."""
        return self.hidden_size, self.context_size

    def project(self, xs: Tensor) -> Tensor:
        """Compute A x and B x: (T, B, D) -> (T, B, H + C)."""
        return F.linear(xs, self.weight_ih)

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, H + C), h (B, H), s (B, C)."""
        h, s = state
        s = (1 - self.alpha) * p[:, self.hidden_size :] + self.alpha * s
        h = torch.sigmoid(p[:, : self.hidden_size] + F.linear(torch.cat((h, s), dim=1), self.weight_hh))
        return torch.cat((h, s), dim=1), (h, s)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the SCRN."""
    return [SCRN]
