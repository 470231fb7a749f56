"""Mass-conserving LSTM: what comes in as mass is moved between the cells, kept or let out, but never lost.

    s = c / (‖c‖₁ + ε)
    i = softmax(W_i a + U_i s + b_i)
    o = σ(W_o a + U_o s + b_o)
    R = softmax(W_r a + U_r s + B_r), each column for itself        softmax(B_r) with time_dependent=False
    m = R c + i x
    c = (1 - o) ⊙ m,  y = o ⊙ m

The input is (x, a): the mass x, one number that is not negative, and D - 1 auxiliary inputs a.

Paper: Hoedt et al., "MC-LSTM: Mass-Conserving LSTM", ICML, PMLR 139, 2021.

Gate order: i, o, R in the rows of every weight: H, H and H * H, for R column after column; so are the rows of weight_r.

What differs: one mass input; ε = 1e-5 keeps an empty memory from 0/0.

When to use it: where a quantity is conserved, as water in a catchment or the sum in arithmetic; R grows as H³, so H is
to be small.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit_zoo._conserving import Conserving


class MCLSTM(Conserving):
    """Mass-conserving LSTM (Hoedt 2021).

    State: c (B, H), not negative. Parameters, G = 2H + H²: weight_ih (G, D - 1), weight_ch (G, H), bias_ih (G,); with
    `time_dependent=False` G = 2H, and weight_r (H, H) is B_r.

    Args:
        input_size: D, the mass and D - 1 auxiliary inputs.
        time_dependent: whether the redistribution R depends on a and c.
    """

    name = "mclstm"
    state_names = ("c",)
    state_domains = {"c": "non-negative"}  # noqa: RUF012

    def step(self, p: tuple[Tensor, Tensor], state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 1) and (B, G), c (B, H)."""
        (c,), size = state, self.hidden_size
        rows = p[1] + F.linear(c / (c.abs().sum(1, keepdim=True) + 1e-5), self.weight_ch)
        i, o = torch.softmax(rows[:, :size], dim=1), torch.sigmoid(rows[:, size : 2 * size])
        m = self.moved(c, rows[:, 2 * size :]) + i * p[0]
        return o * m, ((1 - o) * m,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the mass-conserving LSTM."""
    return [MCLSTM]
