"""Update gate RNN: a simple recurrent network that may keep its state.

    c = s(W_c x + b_ic + U_c h + b_hc)        s: tanh or relu
    g = σ(W_g x + b_ig + U_g h + b_hg)
    h = g ⊙ h + (1 - g) ⊙ c,  y = h

Paper: Collins, Sohl-Dickstein & Sussillo, "Capacity and Trainability in Recurrent Neural Networks", ICLR 2017.

Gate order: c, g in the rows of every weight.

What differs: nothing; the constant beside the bias of g, which the paper tunes, is the bias's own, 1 at the start.

When to use it: where a simple RNN forgets and a GRU costs too much.
"""

import torch
from torch import Tensor

import rnnkit
from rnnkit import State
from rnnkit_zoo._stacked import Stacked
from rnnkit_zoo._starts import in_turn, starting

FUNCTIONS = {"tanh": torch.tanh, "relu": torch.relu}


class UGRNN(Stacked):
    """Update gate recurrent network (Collins 2017).

    State: h (B, H). Parameters in the rows c, g: weight_ih (2H, D), weight_hh (2H, H), bias_ih and bias_hh (2H,).

    Args:
        nonlinearity: s of the candidate, tanh or relu.
    """

    name = "ugrnn"
    gates = blocks = ("c", "g")
    forget_gate = "g"
    starts = starting(bias_ih=in_turn(c=0, g=1), bias_hh=0)

    def __init__(self, input_size: int, hidden_size: int, *, nonlinearity: str = "tanh", bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias=bias)
        self.nonlinearity = self.chosen(FUNCTIONS, nonlinearity=nonlinearity)

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 2H), h (B, H)."""
        (h,) = state
        (p_c, p_g), (h_c, h_g) = p.chunk(2, dim=1), self.products(h)
        g = torch.sigmoid(p_g + h_g)
        h = g * h + (1 - g) * FUNCTIONS[self.nonlinearity](p_c + h_c)
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the UGRNN."""
    return [UGRNN]
