"""How far off forecasts were, from which prediction intervals are made."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

KEPT = 1001
"""Of a target's residuals in order, as many as that, evenly spaced; all where there are fewer."""


class Residuals(NamedTuple):
    """The residuals of `total` forecasts: truth less forecast, of K targets, in their deviations."""

    total: int
    levels: Numbers
    """(M,) of the share of later residuals that each is expected to exceed: rank / (total + 1)."""
    values: Numbers
    """(M, K) residuals in order."""

    @classmethod
    def measured(cls, residuals: Numbers) -> "Residuals":
        """Take residuals (N, K), of which each has the same chance to be the next one."""
        total = len(residuals)
        ranks = np.unique(np.linspace(0, total - 1, min(total, KEPT)).round().astype(np.int64))
        return cls(total, (ranks + 1) / (total + 1), np.sort(residuals, axis=0)[ranks])

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
            or not np.isfinite(residuals).all()
        ):
            raise ValueError(f"it has no residuals of {targets} target(s)")
        return cls(values["total"], levels, residuals)
