"""Ridge regression from a window of a series to what follows, for comparison."""

from collections.abc import Iterator

import torch
from torch import Tensor

PENALTIES = (1e-8, 1e-6, 1e-4, 1e-2, 1.0)
INPUTS = 1024


class Ridge:
    """Least squares, with a penalty on the squares of the weights but not of the bias.

    Windows overlap, so a matrix of all of them is never made: those that begin a whole window apart lie one behind the
    other in the series, and are a view of it.

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

    def error(self, fitted: range, judged: range) -> float:
        """Fit to the targets in rows `fitted`; give the mean squared error in rows `judged`, of the best penalty."""
        gram, cross = self._moments(fitted)
        penalised = torch.ones(len(gram), dtype=torch.double)
        penalised[-1] = 0
        weights = [
            torch.linalg.solve(gram + torch.diag(penalty * len(fitted) * penalised), cross) for penalty in PENALTIES
        ]
        stacked, bias = torch.cat([w[:-1] for w in weights], dim=1), torch.cat([w[-1] for w in weights])
        errors = torch.zeros(len(PENALTIES), dtype=torch.double)
        for xs, ys in self._phases(judged):
            off = (xs @ stacked + bias).view(len(ys), len(PENALTIES), -1) - ys.unsqueeze(1)
            errors += off.square().sum((0, 2))
        return float(errors.min()) / (len(judged) * self.targets.shape[1])

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
            gram[:width, :inputs] += xs[:, :width].t() @ xs
            gram[-1, :inputs] += xs.sum(0)
            cross[:-1] += xs.t() @ ys
            cross[-1] += ys.sum(0)
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
        """Give windows (M, inputs) and their targets (M, K), those together that are a whole window apart."""
        steps = len(self.offsets)
        for start in range(rows.start, min(rows.start + steps, rows.stop)):
            ys = self.targets[start : rows.stop : steps]
            begin = start + int(self.offsets[0])
            yield self.series[begin : begin + len(ys) * steps].view(len(ys), -1), ys
