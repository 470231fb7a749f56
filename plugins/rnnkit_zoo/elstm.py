"""eLSTM: an LSTM whose forget gate and candidate see of the past only their own unit.

    f = σ(F x + b_if + w_f ⊙ c)
    z = tanh(Z x + b_iz + w_z ⊙ c)
    c' = f ⊙ c + (1 - f) ⊙ z
    o = σ(O x + b_io + W_o c' + b_h)        the output gate sees all of the new cell state
    y = o ⊙ c'

Paper: Irie, Gopalakrishnan & Schmidhuber, "Exploring the Promise and Limits of Real-Time Recurrent Learning",
ICLR 2024 (arXiv 2305.19044).

What differs: nothing; the paper leaves out the biases to be short.

When to use it: with real-time recurrent learning, which costs no more here than the step: each unit's sensitivity
concerns its own weights.
"""

from typing import Annotated

import torch
from torch import Tensor, nn

import rnnkit
from rnnkit import State
from rnnkit_zoo._stacked import Stacked
from rnnkit_zoo._starts import D, H, in_turn, normal, root, starting, uniform


class ELSTM(Stacked):
    """Element-wise long short-term memory (Irie 2024).

    State: c (B, H). Parameters: weight_ih (3H, D) and bias_ih (3H,) in the rows f, z, o; weight_hh (H, H) and bias_hh
    (H,) of o; w_f and w_z (H,).
    """

    name = "elstm"
    state_names = ("c",)
    blocks = ("f", "z", "o")
    recurrent_blocks = ("o",)
    w_f: Annotated[nn.Parameter, "H", normal(0.1)]
    w_z: Annotated[nn.Parameter, "H", normal(0.1)]
    own = in_turn(f=normal(0.1), z=normal(0.1), o=uniform(1 / root(D + H)))
    starts = starting(uniform(1 / root(D + H)), weight_ih=own, bias_ih=own)

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 3H), c (B, H)."""
        (c,) = state
        p_f, p_z, p_o = p.chunk(3, dim=1)
        f = torch.sigmoid(p_f + self.w_f * c)
        z = torch.tanh(p_z + self.w_z * c)
        c = f * c + (1 - f) * z
        (c_o,) = self.products(c)
        return torch.sigmoid(p_o + c_o) * c, (c,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the eLSTM."""
    return [ELSTM]
