"""The bounds of prediction intervals: quantiles that the model gives, or of the errors that it made in validation."""

import numpy as np
from numpy.typing import NDArray

from rnnkit_tasks.forecast.learnt import Learnt
from rnnkit_tasks.forecast.residuals import Residuals
from rnnkit_tasks.forecast.roles import quoted

Numbers = NDArray[np.float64]

GONE = "its table has changed or is not at hand; give it back as the run learnt from it, or say where it is"
"""Why something is not known."""


class Bounds:
    """Gives bounds, and says in `notes` how.

    Args:
        learnt: of the run.
        residuals: of the rows that validated it; None: they are not known.
        interval: share of the truth that is to lie within.
    """

    def __init__(self, learnt: Learnt, residuals: Residuals | None, interval: float) -> None:
        self.learnt, self.residuals, self.interval = learnt, residuals, interval
        self.notes: list[str] = []
        tail = (1 - interval) / 2
        self._pair = [at for end in (tail, 1 - tail) for at, q in enumerate(learnt.quantiles) if abs(q - end) < 1e-9]

    @property
    def of(self) -> str:
        """What the rows that gave the bounds did to the run."""
        return "trained" if len(self._pair) == 2 else "validated"

    def around(
        self, values: Numbers, said: Numbers, place: NDArray[np.int64], mean: Numbers, scale: Numbers
    ) -> tuple[Numbers, Numbers]:
        """Return lower and upper bounds (M, K) around forecasts.

        Args:
            values: (M, K) forecasts, in the units of the targets.
            said: (M, K, Q) quantiles that the model gives, normalised.
            place: (M,) of each, which of the steps that are forecast it is, from 0 on.
            mean: (M, K) or (K,) of the targets.
            scale: (M, K) or (K,) of the targets.
        """
        if len(self._pair) == 2:
            lower, upper = (said[..., at] * scale + mean for at in self._pair)
            ends = ", ".join(f"{100 * self.learnt.quantiles[at]:.4g} %" for at in self._pair)
            self.notes.append(f"bounds: the quantiles {ends} that the run was trained to give")
            crossed = int(((lower > values) | (upper < values)).any(axis=1).sum())
            if crossed:
                self.notes.append(f"in {crossed} row(s) a quantile lay beyond the median, and is put to it")
            return np.minimum(lower, values), np.maximum(upper, values)
        if self.residuals is None:
            nothing = np.full_like(values, np.nan)
            self.notes.append(f"no interval: the run has not kept its residuals, and {GONE}")
            return nothing, nothing
        lower, upper = (end.reshape(self.learnt.span, -1)[place] for end in self.residuals.bounds(self.interval))
        self._say(self.residuals, lower, upper)
        return values + lower * scale, values + upper * scale

    def _say(self, residuals: Residuals, lower: Numbers, upper: Numbers) -> None:
        tail = (1 - self.interval) / 2
        steps = ", step by step" if self.learnt.span > 1 else ""
        how = (
            f"bounds: forecast plus the {100 * tail:.4g} % and {100 * (1 - tail):.4g} % quantiles of the errors on the "
            f"{residuals.total} row(s) that validated the run{steps}"
        )
        if self.learnt.quantiles:
            how += f"; it was trained to give {', '.join(f'{q:.4g}' for q in self.learnt.quantiles)} and not these"
        if not residuals.suffice(self.interval):
            how += (
                f"; so few rows bound less than {100 * self.interval:.4g} %: these are the least and the greatest error"
            )
        beside = [
            quoted(name)
            for name, low, high in zip(self.learnt.roles.targets, lower.T, upper.T, strict=True)
            if (low * high > 0).any()
        ]
        if beside:
            names = ", ".join(beside)
            how += f"; of {names} nearly all of these errors had one sign, so the forecast lies beside its bounds"
        self.notes.append(how)
