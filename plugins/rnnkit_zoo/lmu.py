"""LMU: a memory that holds the last θ steps of one number, as coefficients of Legendre polynomials.

    u = e_x x + e_h h + e_m m
    m = A m + B u
    h = tanh(W_x x + W_h h + W_m m),  y = h                 with the new m

A, B hold for one step (zero-order hold) what this has for continuous time, i and j from 0 to `order` - 1:

    θ m' = A m + B u,  A_ij = (2i + 1) (-1 if i < j else (-1)^(i - j + 1)),  B_i = (2i + 1) (-1)^i

Paper: Voelker, Kajić & Eliasmith, "Legendre Memory Units: Continuous-Time Representation in Recurrent Neural
Networks", NeurIPS 2019.

Gate order: e, then the H rows of W, in the rows of the input and of the recurrent weight.

What differs: nothing; A and B stay fixed, as in the paper's experiments.

When to use it: long memories of a smooth signal, with θ of the length that counts.
"""

import torch
from torch import Tensor

import rnnkit
from rnnkit import State
from rnnkit_zoo._legendre import LegendreMemory


class LMU(LegendreMemory):
    """Legendre memory unit (Voelker 2019).

    State: h (B, H), m (B, order). Parameters: input.weight (1 + H, D) and recurrent.weight (1 + H, H) in the rows e, W,
    and kernel_m.weight (H, order), W_m, as of torch.nn.Linear; encode_m (1, order), e_m.

    Args:
        order: numbers of the memory.
        theta: θ, the steps that it spans.
    """

    name = "lmu"
    state_names = ("h", "m")
    state_widths = ("H", "order")

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 1 + H), h (B, H), m (B, order)."""
        h, m = state
        u, s = torch.split(p + self.recurrent(h), [1, self.hidden_size], dim=1)
        m = self.remembered(m, u + m @ self.encode_m.t())
        h = torch.tanh(s + self.kernel_m(m))
        return h, (h, m)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the Legendre memory unit."""
    return [LMU]
