"""Recurrent highway network: several layers of highway gates within each step.

    n = tanh(W_n x + b_in + U_n h + b_hn)           in the first layer; without x in those above, each with its own U, b
    t = σ(W_t x + b_it + U_t h + b_ht)
    h = t ⊙ n + (1 - t) ⊙ h                         handed on from layer to layer; y = h

Paper: Zilly, Srivastava, Koutník & Schmidhuber, "Recurrent Highway Networks", ICML 2017.

What differs: nothing; the carry gate is 1 - t, as in all of the paper's experiments, which have up to 10 layers.

When to use it: where one nonlinear step is too little, as in language models.
"""

import torch
from torch import Tensor, nn

import rnnkit
from rnnkit import State
from rnnkit.errors import check_whole
from rnnkit_zoo._stacked import Stacked


class RHN(Stacked):
    """Recurrent highway network with coupled gates (Zilly 2017).

    State: h (B, H). Parameters in the rows n, t: the first layer's, weight_ih (2H, D), weight_hh (2H, H), bias_ih and
    bias_hh (2H,); as of torch.nn.Linear, those of the layers above, above.0.weight (2H, H), above.0.bias and so on.

    Args:
        depth: layers within a step.
    """

    name = "rhn"
    gates = blocks = ("n", "t")

    def __init__(self, input_size: int, hidden_size: int, *, depth: int = 5, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias=bias)
        self.check(check_whole, depth=depth)
        self.above = nn.ModuleList(nn.Linear(hidden_size, 2 * hidden_size, bias=bias) for _ in range(depth - 1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all within ±1/√H, but for the biases of t: -2 in each layer, so that at first h is carried through."""
        super().reset_parameters()
        for name, bias in ((name, parameter) for name, parameter in self.named_parameters() if "bias" in name):
            nn.init.constant_(bias[self.hidden_size :], 0 if name == "bias_ih" else -2)

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 2H), h (B, H)."""
        (h,) = state
        for layer in (None, *self.above):
            n, t = self.preactivations(p, h) if layer is None else layer(h).chunk(2, dim=1)
            h = h + torch.sigmoid(t) * (torch.tanh(n) - h)
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the recurrent highway network."""
    return [RHN]
