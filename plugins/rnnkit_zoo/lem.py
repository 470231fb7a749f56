"""Long expressive memory: two states, each with learnt steps of time of its own.

    d = Δt σ(W_d y + b_hd + V_d x + b_id)                  step of the slow state
    e = Δt σ(W_e y + b_he + V_e x + b_ie)                  step of the output
    z = (1 - d) ⊙ z + d ⊙ tanh(W_z y + b_hz + V_z x + b_iz)
    y = (1 - e) ⊙ y + e ⊙ tanh(W_y z + V_y x + b_iy)       of the new z

Paper: Rusch, Mishra, Erichson & Mahoney, "Long Expressive Memory for Sequence Modeling", ICLR 2022.

What differs: nothing; d and e are the paper's Δt with and without a bar.

When to use it: for long sequences with several scales of time, as an LSTM with its number of parameters.
"""

from typing import Annotated

import torch
from torch import Tensor, nn

import rnnkit
from rnnkit import State
from rnnkit.errors import check_positive
from rnnkit_zoo._stacked import Stacked


class LEM(Stacked):
    """Long expressive memory (Rusch 2022).

    State: y, z (B, H). Parameters: weight_ih (4H, D) and bias_ih (4H,) in the rows d, e, z, y; weight_hh (3H, H) and
    bias_hh (3H,) in the rows d, e, z; weight_zy (H, H).

    Args:
        dt: Δt, the longest step of time.
    """

    name = "lem"
    state_names = ("y", "z")
    blocks = ("d", "e", "z", "y")
    recurrent_blocks = ("d", "e", "z")
    weight_zy: Annotated[nn.Parameter, "H, H"]

    def __init__(self, input_size: int, hidden_size: int, *, dt: float = 1.0, bias: bool = True) -> None:
        self.check(check_positive, dt=dt)
        super().__init__(input_size, hidden_size, bias=bias)
        self.dt = dt

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 4H), y and z (B, H)."""
        y, z = state
        (p_d, p_e, p_z, p_y), (y_d, y_e, y_z) = p.chunk(4, dim=1), self.products(y)
        d, e = self.dt * torch.sigmoid(p_d + y_d), self.dt * torch.sigmoid(p_e + y_e)
        z = (1 - d) * z + d * torch.tanh(p_z + y_z)
        y = (1 - e) * y + e * torch.tanh(p_y + z @ self.weight_zy.t())
        return y, (y, z)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the LEM."""
    return [LEM]
