"""Convolutional LSTM: an LSTM whose state is a row of places with channels each, and whose products are convolutions.

    i, f = σ(W * x + b + U * h + p ⊙ c),  g = tanh(W_g * x + b_g + U_g * h)
    c = f ⊙ c + i ⊙ g
    o = σ(W_o * x + b_o + U_o * h + p_o ⊙ c)                        sees the new c
    h = o ⊙ tanh(c),  y = h with its places in a row of numbers

The D inputs are read as (channels, places), all places of the first channel first: with `input_channels` = 1 a place
each. H is the number of the state's channels, so y has H times as many numbers as there are places.

Paper: Shi et al., "Convolutional LSTM Network: A Machine Learning Approach for Precipitation Nowcasting", NeurIPS 2015.

Gate order: i, f, g, o in the channels of every kernel; i, f, o in the peepholes.

What differs: one spatial dimension in place of two.

When to use it: signals along a line that move in time, such as fields of a simulation or rows of sensors.
"""

import torch
from torch import Tensor, nn

import rnnkit
from rnnkit import State
from rnnkit_zoo._spatial import Spatial
from rnnkit_zoo._starts import starting


class ConvLSTM(Spatial):
    """Convolutional LSTM along one dimension (Shi 2015).

    State: h, c (B, H, W), W places. Parameters in the rows i, f, g, o: as of torch.nn.Conv1d, input.weight (4H, D / W,
    kernel_size), input.bias (4H,), recurrent.weight (4H, H, kernel_size); peephole (3, H, W).
    """

    name = "convlstm"
    state_names = ("h", "c")
    state_shapes = ("H, places", "H, places")
    blocks = ("i", "f", "g", "o")
    starts = starting(peephole=0)

    def __init__(self, input_size: int, hidden_size: int, *, kernel_size: int = 3, input_channels: int = 1) -> None:
        super().__init__(input_size, hidden_size, kernel_size=kernel_size, input_channels=input_channels)
        self.recurrent = self.convolution(4)
        self.peephole = nn.Parameter(torch.zeros(3, hidden_size, self.places))

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 4H, W), h, c (B, H, W)."""
        h, c = state
        i, f, g, o = (p + self.recurrent(h)).chunk(4, dim=1)
        i, f = torch.sigmoid(i + self.peephole[0] * c), torch.sigmoid(f + self.peephole[1] * c)
        c = f * c + i * torch.tanh(g)
        h = torch.sigmoid(o + self.peephole[2] * c) * torch.tanh(c)
        return h.flatten(1), (h, c)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the convolutional LSTM."""
    return [ConvLSTM]
