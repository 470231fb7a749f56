"""Bringing the columns of a table to one scale, as measured over the rows that train, series by series."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnkit.errors import DataError
from rnnkit_tasks.table.series import Series

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
    def measured(cls, values: Values, fixed: Sequence[bool] = ()) -> "Scale":
        """Measure columns (N, C) of the rows that train; NaN is passed over, constant ones keep their unit.

        `fixed`: columns whose mean is 0 and deviation 1 whatever they hold.
        """
        known = np.isfinite(values)
        counts = np.maximum(known.sum(axis=0), 1)
        plain = np.where(known, values, 0.0)
        mean = plain.mean(axis=0) if known.all() else plain.sum(axis=0) / counts
        if known.all():
            deviation = values.std(axis=0)
        else:
            deviation = np.sqrt(np.where(known, np.square(plain - mean), 0.0).sum(axis=0) / counts)
        first = np.array(
            [column[have][0] if have.any() else 0.0 for column, have in zip(plain.T, known.T, strict=True)]
        )
        constant = is_constant(values)
        mean, deviation = np.where(constant, first, mean), np.where(constant, 1.0, deviation)
        if any(fixed):
            mean, deviation = np.where(fixed, 0.0, mean), np.where(fixed, 1.0, deviation)
        return cls(mean, deviation)

    def apply(self, source: str, names: Sequence[str], values: Values) -> Values:
        """Bring columns (N, C), called `names`, to this scale.

        Raises:
            DataError: a number that is so large, or so far from those that train, that its square would overflow.
        """
        check_size(source, names, values)
        result = (values - self.mean) / self.scale
        _check(source, names, values, result, FARTHEST, "too far from the rows that train; correct it")
        return result

    def where(self, chosen: NDArray[np.bool_], other: "Scale") -> "Scale":
        """Return the scale that has another's columns where they are chosen."""
        return Scale(np.where(chosen, other.mean, self.mean), np.where(chosen, other.scale, self.scale))

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


class Scales(NamedTuple):
    """The scale of each series, and that of all rows that train together."""

    whole: Scale
    of: Mapping[str, Scale]
    """By the name of the series; empty where there is but one."""

    @classmethod
    def measured(
        cls, values: Values, series: Sequence[Series], training: NDArray[np.int64], fixed: Sequence[bool]
    ) -> "Scales":
        """Measure columns (N, C), in each series those that vary there: what is constant in all tells them apart.

        A series of which no row trains has the scale of all that do.
        """
        whole = Scale.measured(values[training], fixed)
        if len(series) == 1 and not series[0].name:
            return cls(whole, {})
        mine = [training[(training >= s.rows.start) & (training < s.rows.stop)] for s in series]
        parts = [values[rows] for rows in mine if len(rows)]
        static: NDArray[np.bool_] = np.asarray(np.stack([is_constant(part) for part in parts]).all(axis=0))
        scales = [Scale.measured(values[rows], fixed).where(static, whole) if len(rows) else whole for rows in mine]
        return cls(whole, {s.name: scale for s, scale in zip(series, scales, strict=True)})

    def apply(self, source: str, names: Sequence[str], values: Values, series: Sequence[Series]) -> Values:
        """Bring columns (N, C) of series to their scales; see `Scale.apply`."""
        if not self.of:
            return self.whole.apply(source, names, values)
        made = np.empty_like(values)
        for one in series:
            part = slice(one.rows.start, one.rows.stop)
            made[part] = self.of.get(one.name, self.whole).apply(source, names, values[part])
        return made

    def rows(self, series: Sequence[Series], rows: NDArray[np.int64]) -> tuple[Values, Values]:
        """Return the mean and the scale of each of the rows (M,): (M, C), or (C,) where all have the same."""
        if not self.of:
            return self.whole.mean, self.whole.scale
        starts = np.array([one.rows.start for one in series])
        owner = np.searchsorted(starts, rows, side="right") - 1
        scales = [self.of.get(one.name, self.whole) for one in series]
        return np.stack([s.mean for s in scales])[owner], np.stack([s.scale for s in scales])[owner]

    def to_json(self) -> dict[str, Any]:
        """Return what JSON takes."""
        series = {"series": {name: scale.to_json() for name, scale in self.of.items()}} if self.of else {}
        return {**self.whole.to_json(), **series}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], count: int) -> "Scales":
        """Read what `to_json` returned; see `Scale.from_json`."""
        of = {str(name): Scale.from_json(scale, count) for name, scale in values.get("series", {}).items()}
        return cls(Scale.from_json(values, count), of)


def is_constant(values: Values) -> Any:
    """Tell of each column (N, ...) whether it is constant but for rounding, NaN aside."""
    known = np.isfinite(values)
    with np.errstate(over="ignore", invalid="ignore"):  # what is too large is refused elsewhere
        if known.all():
            return values.std(axis=0) <= RESOLUTION * np.abs(values).max(axis=0)
        most, least = np.where(known, values, -np.inf).max(axis=0), np.where(known, values, np.inf).min(axis=0)
        return ~known.any(axis=0) | (most - least <= RESOLUTION * np.maximum(np.abs(most), np.abs(least)))


def check_size(source: str, names: Sequence[str], values: Values) -> None:
    """Raise DataError for a number of columns (N, C) that is so large that its square would overflow."""
    _check(source, names, values, values, LARGEST, "too large; give the column in another unit")


def _check(source: str, names: Sequence[str], values: Values, judged: Values, limit: float, wrong: str) -> None:
    """Raise for the first of `values` whose place in `judged` is beyond the limit."""
    if judged.size and max(np.nanmax(judged, initial=0.0), -np.nanmin(judged, initial=0.0)) > limit:
        row, column = np.argwhere(np.abs(judged) > limit)[0]
        raise DataError(f"{source}, column {names[column]!r}: {values[row, column]:g} is {wrong}")
