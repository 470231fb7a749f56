"""Addition-subtraction twin-gated network: both gates of one pair of products, by their sum and their difference.

    p = W x + b_i
    q = U h + b_h
    i = σ(p + q)        input gate
    f = σ(p - q)        forget gate
    h = i ⊙ p + f ⊙ h,  y = h

Paper: Zhang, Xiong, Su, Lin & Zhang, "Simplifying Neural Machine Translation with Addition-Subtraction Twin-Gated
Recurrent Networks", EMNLP 2018.

What differs: biases, which the paper's equations do not have; `bias=False` leaves them out.

When to use it: for gates at the parameters of a simple recurrent network, in translation as the paper has it.
"""

import torch
from torch import Tensor

import rnnkit
from rnnkit import State
from rnnkit_zoo._stacked import Stacked


class ATR(Stacked):
    """Addition-subtraction twin-gated recurrent network (Zhang 2018).

    State: h (B, H). Parameters: weight_ih (H, D) and bias_ih (H,) of p, weight_hh (H, H) and bias_hh (H,) of q.
    """

    name = "atr"
    blocks = ("p",)
    recurrent_blocks = ("q",)

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, H), h (B, H)."""
        (h,) = state
        (q,) = self.products(h)
        h = torch.sigmoid(p + q) * p + torch.sigmoid(p - q) * h
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the ATR."""
    return [ATR]
