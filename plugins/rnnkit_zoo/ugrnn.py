"""Update gate RNN: a simple recurrent network that may keep its state.

    c = s(W_c x + b_ic + U_c h + b_hc)        s: tanh or relu
    g = σ(W_g x + b_ig + U_g h + b_hg)
    h = g ⊙ h + (1 - g) ⊙ c,  y = h

Paper: Collins, Sohl-Dickstein & Sussillo, "Capacity and Trainability in Recurrent Neural Networks", ICLR 2017.

Gate order: c, g in the rows of every weight.

What differs: nothing; the paper's constant b^fg in g is what `rnnkit.init.forget_bias_` sets.

When to use it: where a simple RNN forgets and a GRU costs too much.
"""

import torch
from torch import Tensor

import rnnkit
from rnnkit import State
from rnnkit.errors import UsageError
from rnnkit_zoo._stacked import Stacked

NONLINEARITIES = {"tanh": torch.tanh, "relu": torch.relu}


class UGRNN(Stacked):
    """Update gate recurrent network (Collins 2017).

    State: h (B, H). Parameters in the rows c, g: weight_ih (2H, D), weight_hh (2H, H), bias_ih and bias_hh (2H,).

    Args:
        input_size: D.
        hidden_size: H.
        nonlinearity: s of the candidate, tanh or relu.
        bias: whether there are biases.
    """

    name = "ugrnn"
    gates = blocks = ("c", "g")
    forget_gate = "g"

    def __init__(self, input_size: int, hidden_size: int, *, nonlinearity: str = "tanh", bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias=bias)
        if nonlinearity not in NONLINEARITIES:
            raise UsageError(f"cell 'ugrnn': nonlinearity is {nonlinearity!r}; it must be one of tanh, relu")
        self.nonlinearity = nonlinearity

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 2H), h (B, H)."""
        (h,) = state
        p_c, p_g = p.chunk(2, dim=1)
        h_c, h_g = self.products(h)
        c = NONLINEARITIES[self.nonlinearity](p_c + h_c)
        g = torch.sigmoid(p_g + h_g)
        h = g * h + (1 - g) * c
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the UGRNN."""
    return [UGRNN]
