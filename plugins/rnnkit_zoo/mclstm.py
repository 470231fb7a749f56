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
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit.errors import check_flag
from rnnkit_zoo._declared import Declared


class MCLSTM(Declared):
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

    def __init__(self, input_size: int, hidden_size: int, *, time_dependent: bool = True) -> None:
        super().__init__(input_size, hidden_size)
        self.check(check_flag, time_dependent=time_dependent)
        rows = (2 + hidden_size * time_dependent) * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size - 1))
        self.weight_ch = nn.Parameter(torch.empty(rows, hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(rows))
        self.weight_r = None if time_dependent else nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Make the weights of each gate on a and s orthogonal; b_i is 0, b_o -3, and B_r the identity: mass stays."""
        size = self.hidden_size
        both = torch.cat([self.weight_ih, self.weight_ch], dim=1)
        for gate in torch.split(both, [size, size, len(both) - 2 * size]):
            nn.init.orthogonal_(gate)
        self.weight_ih.copy_(both[:, :-size])
        self.weight_ch.copy_(both[:, -size:])
        nn.init.zeros_(self.bias_ih)
        nn.init.constant_(self.bias_ih[size : 2 * size], -3)
        nn.init.eye_(self.bias_ih[2 * size :].view(size, size) if self.weight_r is None else self.weight_r)

    def project(self, xs: Tensor) -> tuple[Tensor, Tensor]:
        """Split off the mass, and compute what the rest does to the gates: (T, B, D) -> (T, B, 1), (T, B, G)."""
        return xs[..., :1], F.linear(xs[..., 1:], self.weight_ih, self.bias_ih)

    def step(self, p: tuple[Tensor, Tensor], state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 1) and (B, G), c (B, H)."""
        (c,), size = state, self.hidden_size
        rows = p[1] + F.linear(c / (c.abs().sum(1, keepdim=True) + 1e-5), self.weight_ch)
        i, o = torch.softmax(rows[:, :size], dim=1), torch.sigmoid(rows[:, size : 2 * size])
        if self.weight_r is None:
            r = torch.softmax(rows[:, 2 * size :].reshape(-1, size, size), dim=2)
            moved = torch.bmm(c.unsqueeze(1), r).squeeze(1)
        else:
            moved = torch.mm(c, torch.softmax(self.weight_r, dim=1))
        m = moved + i * p[0]
        return o * m, ((1 - o) * m,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the mass-conserving LSTM."""
    return [MCLSTM]
