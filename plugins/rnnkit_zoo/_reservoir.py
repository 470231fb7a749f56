"""A reservoir: a random network that is scaled when it is drawn, and then stays as it is."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit.errors import check_positive
from rnnkit_zoo._declared import Declared


class Reservoir(Declared):
    """A cell whose weights are not trained: they are buffers."""

    def __init__(self, input_size: int, hidden_size: int, *, spectral_radius: float, scale: float) -> None:
        super().__init__(input_size, hidden_size)
        self.check(check_positive, spectral_radius=spectral_radius, scale=scale)
        self.spectral_radius, self.scale = spectral_radius, scale
        self.weight_hh = nn.Buffer(torch.empty(hidden_size, hidden_size))
        self.weight_ih = nn.Buffer(torch.empty(hidden_size, input_size))
        self.bias_ih = nn.Buffer(torch.empty(hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all from U(-1, 1), times `scale`; weight_hh is then scaled to its spectral radius."""
        for buffer in (self.weight_hh, self.weight_ih, self.bias_ih):
            nn.init.uniform_(buffer, -self.scale, self.scale)
        self.weight_hh.mul_(self.spectral_radius / torch.linalg.eigvals(self.weight_hh.float()).abs().max())

    def project(self, xs: Tensor) -> Tensor:
        """Compute the input's part: (T, B, D) -> (T, B, H)."""
        return F.linear(xs, self.weight_ih, self.bias_ih)
