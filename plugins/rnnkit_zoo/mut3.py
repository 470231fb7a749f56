"""MUT3: a mutation of the GRU, third of the three that an evolutionary search found.

    z = σ(W_z x + b_iz + U_z tanh(h) + b_hz)
    r = σ(W_r x + b_ir + U_r h + b_hr)
    n = tanh(W_n x + b_in + U_n (r ⊙ h) + b_hn)
    h = (1 - z) ⊙ h + z ⊙ n,  y = h

Paper: Jozefowicz, Zaremba & Sutskever, "An Empirical Exploration of Recurrent Network Architectures", ICML 2015.

Gate order: z, r, n in the rows of every weight.

What differs: nothing.

When to use it: in place of a GRU, beside MUT1, as in the paper's comparisons.
"""

import torch
from torch import Tensor

import rnnkit
from rnnkit import State
from rnnkit_zoo._apart import Apart


class MUT3(Apart):
    """Mutation 3 of the GRU: the update gate sees tanh(h) (Jozefowicz 2015).

    State: h (B, H). Parameters in the rows z, r, n: weight_ih (3H, D), weight_hh (3H, H), bias_ih and bias_hh (3H,).
    """

    name = "mut3"
    gates = blocks = ("z", "r", "n")

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 3H), h (B, H)."""
        (h,) = state
        p_z, p_r, p_n = p.chunk(3, dim=1)
        z = torch.sigmoid(p_z + self.product("z", torch.tanh(h)))
        r = torch.sigmoid(p_r + self.product("r", h))
        n = torch.tanh(p_n + self.product("n", r * h))
        h = (1 - z) * h + z * n
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer MUT3."""
    return [MUT3]
