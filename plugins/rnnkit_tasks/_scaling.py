"""Bringing the columns of a series to one scale, as measured over the rows that train."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnkit.errors import DataError

Values = NDArray[np.float64]

LARGEST = 1e100  # so that sums of squares are finite
FARTHEST = 1e15  # deviations; the square is finite in float32


class Scaled(NamedTuple):
    """A series with mean 0 and deviation 1 over its training part; constant columns keep their unit."""

    values: Values
    """(N, C)."""
    mean: Values
    """(C,)."""
    scale: Values
    """(C,): values x scale + mean is what was given."""


def scaled(source: str, names: Sequence[str], values: Values, training: int) -> Scaled:
    """Bring columns (N, C), called `names`, to one scale over the first `training` rows.

    Raises:
        DataError: a number that is so large, or so far from those that train, that its square would overflow.
    """
    _check(source, names, values, values, LARGEST, "too large; give the column in another unit")
    part = values[:training]
    deviation = part.std(axis=0)
    constant = (part.min(axis=0) == part.max(axis=0)) | (deviation == 0)
    mean = np.where(constant, part[0], part.mean(axis=0))
    scale = np.where(constant, 1.0, deviation)
    result = (values - mean) / scale
    _check(source, names, values, result, FARTHEST, "too far from the rows that train; correct it")
    return Scaled(result, mean, scale)


def _check(source: str, names: Sequence[str], values: Values, judged: Values, limit: float, wrong: str) -> None:
    """Raise for the first of `values` whose place in `judged` is beyond the limit."""
    beyond = np.argwhere(np.abs(judged) > limit)
    if len(beyond):
        row, column = beyond[0]
        raise DataError(f"{source}, column {names[column]!r}: {values[row, column]:g} is {wrong}")
