"""Convolutional GRU: a GRU whose state is a row of places with channels each, and whose products are convolutions.

    r = σ(W_r * x + b_r + U_r * h)
    z = σ(W_z * x + b_z + U_z * h)
    n = tanh(W_n * x + b_n + U_n * (r ⊙ h))
    h = (1 - z) ⊙ h + z ⊙ n,  y = h with its places in a row of numbers

The D inputs are read as (channels, places), all places of the first channel first: with `input_channels` = 1 a place
each. H is the number of the state's channels, so y has H times as many numbers as there are places.

Paper: Ballas, Yao, Pal & Courville, "Delving Deeper into Convolutional Networks for Learning Video Representations",
ICLR 2016.

Gate order: r, z, n in the channels of every kernel.

What differs: one spatial dimension in place of two; biases, which the paper leaves out of its equations.

When to use it: as `convlstm`, with fewer parameters.
"""

import torch
from torch import Tensor

import rnnkit
from rnnkit import State
from rnnkit_zoo._spatial import Spatial


class ConvGRU(Spatial):
    """Convolutional GRU along one dimension (Ballas 2016).

    State: h (B, H, W), W places. Parameters in the rows r, z, n: as of torch.nn.Conv1d, input.weight (3H, D / W,
    kernel_size), input.bias (3H,); switches.weight (2H, H, kernel_size) and candidate.weight (H, H, kernel_size), U.
    """

    name = "convgru"
    state_shapes = ("H, places",)
    blocks = ("r", "z", "n")

    def __init__(self, input_size: int, hidden_size: int, *, kernel_size: int = 3, input_channels: int = 1) -> None:
        super().__init__(input_size, hidden_size, kernel_size=kernel_size, input_channels=input_channels)
        self.switches = self.convolution(2)
        self.candidate = self.convolution(1)

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 3H, W), h (B, H, W)."""
        (h,) = state
        p_r, p_z, p_n = p.chunk(3, dim=1)
        h_r, h_z = self.switches(h).chunk(2, dim=1)
        n = torch.tanh(p_n + self.candidate(torch.sigmoid(p_r + h_r) * h))
        h = h + torch.sigmoid(p_z + h_z) * (n - h)
        return h.flatten(1), (h,)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the convolutional GRU."""
    return [ConvGRU]
