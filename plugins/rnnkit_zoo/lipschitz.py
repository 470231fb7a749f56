"""Lipschitz recurrent network: a linear and a Lipschitz-continuous part, each with weights kept stable.

    A = (1 - β) (M_A + M_Aᵀ) + β (M_A - M_Aᵀ) - γ I        likewise W, of M_W
    h = h + ε (A h + tanh(W h + U x + b)),  y = h

Paper: Erichson, Azencot, Queiruga, Hodgkinson & Mahoney, "Lipschitz Recurrent Neural Networks", ICLR 2021.

Gate order: A, W in the rows of weight_hh; weight_ih and bias_ih have no blocks.

What differs: A and W have the same β and γ; the paper lets these differ, and also takes Runge and Kutta's step.

When to use it: for long sequences without gates, where inputs or weights are disturbed; tune epsilon.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit.errors import check_rate
from rnnkit_zoo._starts import D, H, normal, root, starting, uniform
from rnnkit_zoo.antisymmetric import Antisymmetric


class Lipschitz(Antisymmetric):
    """Lipschitz recurrent network (Erichson 2021).

    State: h (B, H). Parameters: weight_ih (H, D), weight_hh (2H, H) in the rows M_A, M_W, bias_ih (H,).

    Args:
        beta: β from 0 to 1, how antisymmetric both are: 1 entirely, 0.5 as drawn, 0 not at all.
    """

    name = "lipschitz"
    blocks = ("W",)
    recurrent_blocks = ("A", "W")
    starts = starting(uniform(1 / root(D)), weight_hh=normal(0.1 / H))

    def __init__(
        self, input_size: int, hidden_size: int, *, beta: float = 0.75, gamma: float = 0.001, epsilon: float = 0.03
    ) -> None:
        check_rate("cell 'lipschitz': beta", beta)
        super().__init__(input_size, hidden_size, epsilon=epsilon, gamma=gamma)
        self.beta = beta

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, H), h (B, H)."""
        (h,) = state
        m_a, m_w = self.weight_hh.chunk(2)
        transposed = (1 - 2 * self.beta) * torch.cat((m_a.t(), m_w.t()))
        a, w = F.linear(h, self.weight_hh + transposed).chunk(2, dim=1)
        h = h + self.epsilon * (a - self.gamma * h + torch.tanh(p + w - self.gamma * h))
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the Lipschitz recurrent network."""
    return [Lipschitz]
