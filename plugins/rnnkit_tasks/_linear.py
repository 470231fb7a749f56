"""Ridge regression from a window of a series to what follows, for comparison."""

from collections.abc import Iterator

import torch
from torch import Tensor

PENALTIES = (1e-8, 1e-6, 1e-4, 1e-2, 1.0)
INPUTS = 1024
PIECE = 4096  # windows gathered at once, so that memory does not grow with the series


class Ridge:
    """Least squares, with a penalty on the squares of the weights but not of the bias.

    Args:
        series: (N, C), what windows are cut from.
        targets: (N, K), what is forecast.
        window: steps read; of a wide series only the last, so that the model has at most `INPUTS` inputs.
        horizon: steps from the end of a window to its target.
    """

    def __init__(self, series: Tensor, targets: Tensor, window: int, horizon: int) -> None:
        self.series, self.targets = series.double(), targets.double()
        steps = max(1, min(window, INPUTS // series.shape[1]))
        self.offsets = torch.arange(steps) + (1 - horizon - steps)

    def error(self, fitted: range, judged: range) -> float:
        """Fit to the targets in rows `fitted`; give the mean squared error in rows `judged`, of the best penalty."""
        inputs, outputs = len(self.offsets) * self.series.shape[1] + 1, self.targets.shape[1]
        gram, cross = torch.zeros(inputs, inputs, dtype=torch.double), torch.zeros(inputs, outputs, dtype=torch.double)
        for xs, ys in self._pieces(fitted):
            gram += xs.t() @ xs
            cross += xs.t() @ ys
        penalised = torch.ones(inputs, dtype=torch.double)
        penalised[-1] = 0
        weights = [
            torch.linalg.solve(gram + torch.diag(penalty * len(fitted) * penalised), cross) for penalty in PENALTIES
        ]
        errors = torch.zeros(len(PENALTIES), dtype=torch.double)
        for xs, ys in self._pieces(judged):
            errors += torch.stack([(xs @ w - ys).square().sum() for w in weights])
        return float(errors.min()) / (len(judged) * outputs)

    def _pieces(self, rows: range) -> Iterator[tuple[Tensor, Tensor]]:
        """Give windows as rows of inputs, with a one at the end, and their targets."""
        for at in range(rows.start, rows.stop, PIECE):
            piece = torch.arange(at, min(at + PIECE, rows.stop))
            xs = self.series[piece.unsqueeze(1) + self.offsets].flatten(1)
            yield torch.cat([xs, torch.ones_like(xs[:, :1])], dim=1), self.targets[piece]
