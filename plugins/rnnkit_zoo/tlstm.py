"""T-LSTM: strongly typed, with gates that see this input and the last one instead of the state.

    z = W_z x + b_iz + V_z x' + b_hz             x' is the input of the step before
    f = σ(W_f x + b_if + V_f x' + b_hf)
    o = tanh(W_o x + b_io + V_o x' + b_ho)
    c = f ⊙ c + (1 - f) ⊙ z
    y = c ⊙ o

Paper: Balduzzi & Ghifary, "Strongly-Typed Recurrent Neural Networks", ICML 2016.

What differs: nothing. x' is a state, zeros before the first step; the output is not, for no step reads it.

When to use it: instead of an LSTM, where what a unit means is to stay the same from step to step.
"""

import torch
from torch import Tensor

import rnnkit
from rnnkit import State
from rnnkit_zoo.tgru import TGRU


class TLSTM(TGRU):
    """Strongly-typed long short-term memory (Balduzzi 2016).

    State: c (B, H), x (B, D). Parameters in the rows z, f, o: weight_ih and weight_hh (3H, D), bias_ih and bias_hh
    (3H,).
    """

    name = "tlstm"
    state_names = ("c", "x")

    def step(self, p: tuple[Tensor, Tensor], state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 3H) and (B, D), c (B, H), the last x (B, D)."""
        c, last = state
        s, x = p
        z, f, o = self.typed(s, last)
        f = torch.sigmoid(f)
        c = f * c + (1 - f) * z
        return c * torch.tanh(o), (c, x)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the T-LSTM."""
    return [TLSTM]
