"""How far off forecasts were, from which prediction intervals are made."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

KEPT = 1001
"""Of a target's residuals in order, as many as that, evenly spaced; all where there are fewer."""

LEAST, NUMBERS = 101, 100_000
"""Where there are many targets and steps: so many of each, and of all together."""


class Residuals(NamedTuple):
    """The residuals of `total` forecasts: truth less forecast, of K targets or steps of them, in their deviations."""

    total: int
    levels: Numbers
    """(M,) of the share of later residuals that each is expected to exceed: rank / (total + 1)."""
    values: Numbers
    """(M, K) residuals in order."""

    @classmethod
    def measured(cls, residuals: Numbers) -> "Residuals":
        """Take residuals (N, K), of which each has the same chance to be the next one; NaN where none is known.

        Of columns of which different numbers are known, the one with the fewest gives the levels.
        """
        columns = [np.sort(column[~np.isnan(column)]) for column in residuals.T]
        total = min(map(len, columns))
        if not total:
            return cls(0, np.zeros(0), np.full((0, len(columns)), np.nan))
        most = min(KEPT, max(LEAST, NUMBERS // len(columns)))
        ranks = np.unique(np.linspace(0, total - 1, min(total, most)).round().astype(np.int64))
        levels = (ranks + 1) / (total + 1)
        values = [
            column[ranks] if len(column) == total else np.interp(levels, _levels(len(column)), column)
            for column in columns
        ]
        return cls(total, levels, np.stack(values, axis=1))

    def bounds(self, share: float) -> tuple[Numbers, Numbers]:
        """Return (K,) lower and upper ends of what holds a share of the residuals, as much below as above.

        Where there are too few of them, it is the least and the greatest.
        """
        tail = (1 - share) / 2
        lower, upper = (
            np.array([np.interp(at, self.levels, column) for column in self.values.T]) for at in (tail, 1 - tail)
        )
        return lower, upper

    def suffice(self, share: float) -> bool:
        """Tell whether there are enough of them for such a share."""
        return bool((1 - share) / 2 >= self.levels[0] - 1e-12)

    def to_json(self) -> dict[str, Any]:
        """Return numbers and lists."""
        return {"total": self.total, "levels": self.levels.tolist(), "values": self.values.tolist()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], targets: int) -> "Residuals":
        """Read what `to_json` returned, of so many targets.

        Raises:
            LookupError, TypeError, ValueError: it is something else.
        """
        levels, residuals = (np.array(values[key], dtype=np.float64) for key in ("levels", "values"))
        if (
            type(values["total"]) is not int
            or residuals.shape != (len(levels), targets)
            or not len(levels)
            or not np.isfinite(residuals).all()
        ):
            raise ValueError(f"it has no residuals of {targets} target(s)")
        return cls(values["total"], levels, residuals)


def _levels(count: int) -> Numbers:
    return np.arange(1, count + 1) / (count + 1)
