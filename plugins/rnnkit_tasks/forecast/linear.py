"""Ridge regression from a window of a series to what follows, for comparison."""

from collections.abc import Iterator

import torch
from torch import Tensor

PENALTIES = (1e-8, 1e-6, 1e-4, 1e-2, 1.0)
INPUTS = 1024
PIECE = 4096
"""Windows that are copied at a time."""
TOGETHER = 256
"""Windows that lie one behind the other in a piece: as many as a processor's cache holds."""


class Ridge:
    """Least squares, with a penalty on the squares of the weights but not of the bias.

    Windows overlap, so a matrix of all of them is never made: those that begin a whole window apart lie one behind the
    other in the series, and all are a view of it.

    Args:
        series: (N, C), what windows are cut from.
        targets: (N, K), what is forecast.
        window: steps read; of a wide series only the last, so that the model has at most `INPUTS` inputs.
        horizon: steps from the end of a window to its target.
    """

    def __init__(self, series: Tensor, targets: Tensor, window: int, horizon: int) -> None:
        self.series, self.targets = series.double().contiguous(), targets.double().contiguous()
        steps = max(1, min(window, INPUTS // series.shape[1]))
        self.offsets = torch.arange(steps) + (1 - horizon - steps)

    def best(self, fitted: range, judged: range) -> tuple[Tensor, float]:
        """Fit to the targets in rows `fitted`, with the penalty that is best in rows `judged`.

        Returns: the weights (inputs + 1, K), the bias last, and the mean squared error in rows `judged`.
        """
        gram, cross = self._moments(fitted)
        penalised = torch.ones(len(gram), dtype=torch.double)
        penalised[-1] = 0
        weights = [
            torch.linalg.solve(gram + torch.diag(penalty * len(fitted) * penalised), cross) for penalty in PENALTIES
        ]
        stacked, bias = torch.cat([w[:-1] for w in weights], dim=1), torch.cat([w[-1] for w in weights])
        errors = torch.zeros(len(PENALTIES), dtype=torch.double)
        for xs, ys in self._phases(judged):
            forecasts = (xs @ stacked + bias).view(*ys.shape[:2], len(PENALTIES), -1)
            errors += (forecasts - ys.unsqueeze(2)).square().sum((0, 1, 3))
        least = int(errors.argmin())
        return weights[least], float(errors[least]) / (len(judged) * self.targets.shape[1])

    def error(self, fitted: range, judged: range) -> float:
        """Return the mean squared error in rows `judged` of what `best` fits."""
        return self.best(fitted, judged)[1]

    def _moments(self, rows: range) -> tuple[Tensor, Tensor]:
        """Return the sums over windows x and targets y of x xᵀ and x yᵀ, where x ends with a one.

        Of x xᵀ the products with a window's first step are summed up; those of later steps are sums over the same
        products, one row further on.
        """
        width, steps = self.series.shape[1], len(self.offsets)
        inputs = width * steps
        gram = torch.zeros(inputs + 1, inputs + 1, dtype=torch.double)
        cross = torch.zeros(inputs + 1, self.targets.shape[1], dtype=torch.double)
        for xs, ys in self._phases(rows):
            left = torch.cat([xs[..., :width], ys, torch.ones_like(ys[..., :1])], dim=2)
            sums = torch.bmm(left.transpose(1, 2), xs).sum(0)
            gram[:width, :inputs] += sums[:width]
            gram[-1, :inputs] += sums[-1]
            cross[:-1] += sums[width:-1].t()
            cross[-1] += ys.sum((0, 1))
        first, last = (self._window(row) for row in (rows.start, rows.stop))
        for at in range(width, inputs, width):
            here, before = slice(at, at + width), slice(at - width, at)
            gram[here, at:inputs] = gram[before, at - width : inputs - width]
            gram[here, at:inputs] += torch.outer(last[before], last[at - width : inputs - width])
            gram[here, at:inputs] -= torch.outer(first[before], first[at - width : inputs - width])
        gram[:inputs, -1] = gram[-1, :inputs]
        gram[-1, -1] = len(rows)
        square = gram[:inputs, :inputs]
        below = torch.tril_indices(inputs, inputs, -1)
        square[below[0], below[1]] = square.t()[below[0], below[1]]
        return gram, cross

    def _window(self, row: int) -> Tensor:
        """Return the window (inputs,) from which the target in a row is forecast."""
        return self.series[row + int(self.offsets[0]) : row + int(self.offsets[-1]) + 1].flatten()

    def _phases(self, rows: range) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield windows (P, M, inputs) and their targets (P, M, K), piece by piece; of P, those a window apart."""
        steps, width = len(self.offsets), self.series.shape[1]
        at = rows.start
        while at < rows.stop:
            many = min(TOGETHER, (rows.stop - at) // steps)
            shifts, many = (steps, many) if many else (rows.stop - at, 1)
            begin = at + int(self.offsets[0])
            xs = self.series.as_strided(
                (shifts, many, steps * width), (width, steps * width, 1), begin * width + self.series.storage_offset()
            )
            yield xs, self.targets[at : at + shifts * many].view(many, shifts, -1).transpose(0, 1)
            at += shifts * many


def linear_forecasts(series: Tensor, ends: Tensor, weights: Tensor) -> Tensor:
    """Return what weights (inputs + 1, K) that `Ridge.best` gave say of the windows that end in rows `ends` (M,).

    Args:
        series: (N, C), as it was fitted to.
        ends: (M,) rows.
        weights: of a window of (inputs / C) steps.

    Returns: (M, K).
    """
    steps = (len(weights) - 1) // series.shape[1]
    offsets, series = torch.arange(1 - steps, 1), series.double()
    pieces = [
        series[rows.unsqueeze(1) + offsets].flatten(1) @ weights[:-1] + weights[-1] for rows in torch.split(ends, PIECE)
    ]
    return torch.cat(pieces)
