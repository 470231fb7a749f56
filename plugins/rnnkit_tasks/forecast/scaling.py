"""Bringing the columns of a series to one scale, as measured over the rows that train."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnkit.errors import DataError

Values = NDArray[np.float64]

LARGEST = 1e100  # so that sums of squares are finite
FARTHEST = 1e15  # deviations; the square is finite in float32
RESOLUTION = 1e-14
"""Of a column's largest magnitude: a deviation of no more is what rounding leaves, some fifty steps of float64."""


class Scale(NamedTuple):
    """What brings columns to mean 0 and deviation 1: values x scale + mean is what was given. (C,) each."""

    mean: Values
    scale: Values

    @classmethod
    def measured(cls, source: str, names: Sequence[str], values: Values, training: int) -> "Scale":
        """Measure columns (N, C), called `names`, over the first `training` rows; constant ones keep their unit.

        Raises:
            DataError: a number that is so large that its square would overflow.
        """
        _check(source, names, values, values, LARGEST, "too large; give the column in another unit")
        part = values[:training]
        constant = is_constant(part)
        mean = np.where(constant, part[0], part.mean(axis=0))
        return cls(mean, np.where(constant, 1.0, part.std(axis=0)))

    def apply(self, source: str, names: Sequence[str], values: Values) -> Values:
        """Bring columns (N, C), called `names`, to this scale.

        Raises:
            DataError: a number that is so large, or so far from those that train, that its square would overflow.
        """
        _check(source, names, values, values, LARGEST, "too large; give the column in another unit")
        result = (values - self.mean) / self.scale
        _check(source, names, values, result, FARTHEST, "too far from the rows that train; correct it")
        return result

    def to_json(self) -> dict[str, list[float]]:
        """Return lists of numbers."""
        return {"mean": self.mean.tolist(), "scale": self.scale.tolist()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], count: int) -> "Scale":
        """Read what `to_json` returned, of `count` columns.

        Raises:
            LookupError, TypeError, ValueError: it is something else.
        """
        mean, scale = (np.array(values[key], dtype=np.float64) for key in ("mean", "scale"))
        if mean.shape != (count,) or scale.shape != (count,) or not (np.isfinite(mean).all() and (scale > 0).all()):
            raise ValueError(f"it has no mean and scale of {count} column(s)")
        return cls(mean, scale)


def is_constant(values: Values) -> Any:
    """Tell of each column (N, ...) whether it is constant but for rounding."""
    with np.errstate(over="ignore", invalid="ignore"):  # what is too large is refused elsewhere
        return values.std(axis=0) <= RESOLUTION * np.abs(values).max(axis=0)


def _check(source: str, names: Sequence[str], values: Values, judged: Values, limit: float, wrong: str) -> None:
    """Raise for the first of `values` whose place in `judged` is beyond the limit."""
    if max(judged.max(), -judged.min()) > limit:
        row, column = np.argwhere(np.abs(judged) > limit)[0]
        raise DataError(f"{source}, column {names[column]!r}: {values[row, column]:g} is {wrong}")
