"""JANET: an LSTM whose only gate is the forget gate.

    s = W_f x + b_if + U_f h + b_hf
    c = σ(s) ⊙ h + (1 - σ(s - β)) ⊙ tanh(W_n x + b_in + U_n h + b_hn)
    h = c,  y = h

Paper: van der Westhuizen & Lasenby, "The unreasonable effectiveness of the forget gate", arXiv 1804.04849, 2018.

Gate order: f, n in the rows of every weight.

What differs: nothing; `beta` is the paper's β = 1, by which the cell lets in a little less than it forgets.

When to use it: where an LSTM works and half its parameters should do; long memories with `rnnkit.init.chrono_`, as in
the paper.
"""

import torch
from torch import Tensor

import rnnkit
from rnnkit import State
from rnnkit_zoo._stacked import Stacked
from rnnkit_zoo._starts import in_turn, starting


class JANET(Stacked):
    """Just another network with a forget gate (van der Westhuizen 2018).

    State: h (B, H). Parameters in the rows f, n: weight_ih (2H, D), weight_hh (2H, H), bias_ih and bias_hh (2H,).

    Args:
        beta: β, how much less is let in than forgotten.
    """

    name = "janet"
    gates = blocks = ("f", "n")
    forget_gate = "f"
    starts = starting(bias_ih=in_turn(f=1, n=0), bias_hh=0)

    def __init__(self, input_size: int, hidden_size: int, *, beta: float = 1.0, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias=bias)
        self.beta = beta

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 2H), h (B, H)."""
        (h,) = state
        p_f, p_n = p.chunk(2, dim=1)
        h_f, h_n = self.products(h)
        s = p_f + h_f
        h = torch.sigmoid(s) * h + (1 - torch.sigmoid(s - self.beta)) * torch.tanh(p_n + h_n)
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer JANET."""
    return [JANET]
