"""Windows of a table's inputs, each as it was known when its last row had come."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnkit_tasks.forecast.gaps import forward, gap_starts, interpolated
from rnnkit_tasks.table.series import Series


class Windows(NamedTuple):
    """Rows that windows are cut from."""

    rows: Tensor
    """(N, C), normalised, nothing missing."""
    window: int
    """Rows T of a window."""
    causal: Tensor | None = None
    """(N, C) with the last known number where one is missing; None: `rows` has nothing of later rows in it."""
    starts: Tensor | None = None
    """(N, C) where the gap begins that a row lies in."""

    @classmethod
    def of(cls, values: NDArray[np.float64], series: list[Series], window: int, policy: str) -> "Windows":
        """Put something in the place of what is missing in normalised values (N, C), 0 being the mean."""
        if np.isfinite(values).all():
            return cls(tensor(values), window)
        if policy == "interpolate":
            causal, starts = tensor(forward(values, series)), torch.from_numpy(gap_starts(values, series))
            return cls(tensor(interpolated(values, series)), window, causal, starts)
        filled = forward(values, series) if policy == "forward" else np.nan_to_num(values, nan=0.0)
        return cls(tensor(filled), window)

    @property
    def known(self) -> Tensor:
        """(N, C) with nothing of later rows in any."""
        return self.rows if self.causal is None else self.causal

    def ending(self, ends: Tensor) -> Tensor:
        """Return the windows (T, B, C) that end in rows `ends` (B,).

        A line that is drawn over a gap ends in what came after it; where a window ends within the gap, the last number
        before it is repeated instead.
        """
        rows = ends + torch.arange(1 - self.window, 1).unsqueeze(1)
        if self.causal is None or self.starts is None:
            return self.rows[rows]
        late = rows.unsqueeze(2) >= self.starts[ends]
        return torch.where(late, self.causal[rows], self.rows[rows])


def tensor(values: NDArray[np.float64]) -> Tensor:
    """Return values in torch's default dtype."""
    return torch.from_numpy(np.ascontiguousarray(values)).to(torch.get_default_dtype())
