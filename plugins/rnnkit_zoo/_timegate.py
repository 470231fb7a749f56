"""The time gate: a part of each period of its own, in which a unit is open."""

from typing import Annotated

import torch
from torch import Tensor, nn

from rnnkit.errors import check_positive
from rnnkit_zoo._stacked import Stacked
from rnnkit_zoo._starts import log_uniform, uniform


class TimeGate(Stacked):
    """A cell whose units open and close with the time: each has a period τ, a shift s and an open ratio r."""

    period: Annotated[nn.Parameter, "H", log_uniform(1, 3)]
    shift: Annotated[nn.Parameter, "H", uniform(100, low=0)]
    open_ratio: Annotated[nn.Parameter, "H", 0.05]

    def __init__(self, input_size: int, hidden_size: int, *, time_step: float = 1.0, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias=bias)
        self.check(check_positive, time_step=time_step)
        self.time_step = time_step

    def openness(self, t: Tensor) -> Tensor:
        """Return how far each unit is open, at the time t (B, 1): from 0 to 1 (B, H); a closed one leaks 0.001 φ."""
        turns, r = (t - self.shift) / self.period, self.open_ratio
        phase = turns - torch.floor(turns)
        return torch.where(r / 2 > phase, 2 * phase / r, torch.where(r > phase, 2 - 2 * phase / r, 0.001 * phase))
