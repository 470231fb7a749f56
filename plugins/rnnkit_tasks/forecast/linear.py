"""Ridge regression from a window of a series to what follows, for comparison."""

from collections.abc import Iterator, Sequence

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
        targets: (N, K), what is forecast; NaN where it is not known.
        window: steps read; of a wide series only the last, so that the model has at most `INPUTS` inputs.
        horizon: steps from the end of a window to its last target.
        count: targets of a window, in rows one after the other up to the last.
        filled: (N, K), fitted to in place of targets that are not known.
    """

    def __init__(
        self,
        series: Tensor,
        targets: Tensor,
        window: int,
        horizon: int,
        count: int = 1,
        filled: Tensor | None = None,
    ) -> None:
        self.series = series.double().contiguous()
        self.targets = _following(targets, count)
        self.filled = self.targets if filled is None else _following(filled, count)
        self.count = count
        steps = max(1, min(window, INPUTS // series.shape[1]))
        self.offsets = torch.arange(steps) + (1 - horizon - steps)

    def best(self, fitted: Sequence[range], judged: Sequence[range]) -> tuple[Tensor, float]:
        """Fit to the targets that end in rows `fitted`, with the penalty that is best in rows `judged`.

        Returns: the weights (inputs + 1, count x K), the bias last, and the mean squared error in rows `judged`.
        """
        gram, cross = self._moments([rows for rows in fitted if rows])
        penalised = torch.ones(len(gram), dtype=torch.double)
        penalised[-1] = 0
        total = sum(map(len, fitted))
        weights = [torch.linalg.solve(gram + torch.diag(penalty * total * penalised), cross) for penalty in PENALTIES]
        stacked, bias = torch.cat([w[:-1] for w in weights], dim=1), torch.cat([w[-1] for w in weights])
        errors, known = torch.zeros(len(PENALTIES), dtype=torch.double), 0
        for xs, ys in (pair for rows in judged for pair in self._phases(rows, self.targets)):
            off = (xs @ stacked + bias).view(*ys.shape[:2], len(PENALTIES), -1) - ys.unsqueeze(2)
            known += int(ys.isfinite().sum())
            errors += off.nan_to_num(nan=0.0).square().sum((0, 1, 3))
        least = int(errors.argmin())
        return weights[least], float(errors[least]) / max(known, 1)

    def error(self, fitted: range, judged: range) -> float:
        """Return the mean squared error in rows `judged` of what `best` fits."""
        return self.best([fitted], [judged])[1]

    def _moments(self, parts: Sequence[range]) -> tuple[Tensor, Tensor]:
        """Return the sums over windows x and targets y of x xᵀ and x yᵀ, where x ends with a one.

        Of x xᵀ the products with a window's first step are summed up; those of later steps are sums over the same
        products, one row further on.
        """
        width, steps = self.series.shape[1], len(self.offsets)
        inputs = width * steps
        gram = torch.zeros(inputs + 1, inputs + 1, dtype=torch.double)
        cross = torch.zeros(inputs + 1, self.filled.shape[1] * self.count, dtype=torch.double)
        for xs, ys in (pair for rows in parts for pair in self._phases(rows, self.filled)):
            left = torch.cat([xs[..., :width], ys, torch.ones_like(ys[..., :1])], dim=2)
            sums = torch.bmm(left.transpose(1, 2), xs).sum(0)
            gram[:width, :inputs] += sums[:width]
            gram[-1, :inputs] += sums[-1]
            cross[:-1] += sums[width:-1].t()
            cross[-1] += ys.sum((0, 1))
        first, last = (
            torch.stack([self._window(row) for row in rows]) for rows in zip(*map(_ends, parts), strict=True)
        )
        for at in range(width, inputs, width):
            here, before, rest = slice(at, at + width), slice(at - width, at), slice(at - width, inputs - width)
            gram[here, at:inputs] = gram[before, at - width : inputs - width]
            gram[here, at:inputs] += last[:, before].t() @ last[:, rest]
            gram[here, at:inputs] -= first[:, before].t() @ first[:, rest]
        gram[:inputs, -1] = gram[-1, :inputs]
        gram[-1, -1] = sum(map(len, parts))
        square = gram[:inputs, :inputs]
        below = torch.tril_indices(inputs, inputs, -1)
        square[below[0], below[1]] = square.t()[below[0], below[1]]
        return gram, cross

    def _window(self, row: int) -> Tensor:
        """Return the window (inputs,) from which the target in a row is forecast."""
        return self.series[row + int(self.offsets[0]) : row + int(self.offsets[-1]) + 1].flatten()

    def _phases(self, rows: range, targets: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield windows (P, M, inputs) and targets (P, M, count x K), piece by piece; of P, those a window apart."""
        steps, width = len(self.offsets), self.series.shape[1]
        at = rows.start
        while at < rows.stop:
            many = min(TOGETHER, (rows.stop - at) // steps)
            shifts, many = (steps, many) if many else (rows.stop - at, 1)
            begin = at + int(self.offsets[0])
            xs = self.series.as_strided(
                (shifts, many, steps * width), (width, steps * width, 1), begin * width + self.series.storage_offset()
            )
            first = at - self.count + 1
            ys = targets[first : first + shifts * many].transpose(1, 2).reshape(many, shifts, -1)
            yield xs, ys.transpose(0, 1)
            at += shifts * many


def _following(targets: Tensor, count: int) -> Tensor:
    """Return of each row the targets in it and the `count` - 1 rows after it: (N - count + 1, K, count), a view."""
    return targets.double().unfold(0, count, 1)


def _ends(rows: range) -> tuple[int, int]:
    return rows.start, rows.stop


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
