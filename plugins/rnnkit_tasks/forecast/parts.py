"""Which rows train, which validate and which are kept for a test, series by series."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnkit.errors import DataError, UsageError
from rnnkit_tasks.table.dates import exact
from rnnkit_tasks.table.order import Time
from rnnkit_tasks.table.series import Series
from rnnkit_tasks.table.zones import local, universal

SHARES = (70, 15, 15)


class Split(NamedTuple):
    """Where the rows that train end, and those that validate."""

    shares: tuple[float, ...] = SHARES
    """Percentages of the rows."""
    dates: tuple[float, ...] = ()
    """Or when the rows that validate begin, and those kept for a test: seconds since 1970."""

    @classmethod
    def read(cls, given: object) -> "Split":
        """Read `70,15,15` or `2024-03-01,2024-06-01`, as a text or a list; None: the usual shares.

        Raises:
            UsageError: it is something else.
        """
        if given is None:
            return cls()
        words = [str(w).strip() for w in (given.split(",") if isinstance(given, str) else _as_list(given))]
        days = exact(words) if len(words) == 2 else None
        if days is not None and days[0] < days[1]:
            return cls(dates=(float(days[0]), float(days[1])))
        try:
            shares = tuple(float(word) for word in words)
        except ValueError:
            shares = ()
        if len(shares) != 3 or min(shares) < 0 or shares[0] <= 0 or shares[1] <= 0 or abs(sum(shares) - 100) > 1e-6:
            raise UsageError(
                f"task 'csv': split is {given!r}; it must be percentages of rows that train, validate and test, such "
                "as 70,15,15, or two dates, such as 2024-03-01,2024-06-01, on which the latter two begin"
            )
        return cls(shares)

    def cuts(self, source: str, series: Sequence[Series], time: Time | None) -> list[tuple[int, int]]:
        """Return of each series the first row that validates, and the first one kept for a test.

        Raises:
            UsageError: dates are asked for, and there are none.
        """
        if not self.dates:
            first, second = self.shares[0], self.shares[0] + self.shares[1]
            return [(s.rows.start + _share(s.rows, first), s.rows.start + _share(s.rows, second)) for s in series]
        if time is None:
            raise UsageError(f"task 'csv': split names dates, and no column of {source} tells the time")
        begins = universal(np.array(self.dates), time.zone) if time.zone else np.array(self.dates)
        made = []
        for one in series:
            seconds = np.maximum.accumulate(np.nan_to_num(time.seconds[one.rows.start : one.rows.stop], nan=-np.inf))
            first, second = (one.rows.start + int(at) for at in np.searchsorted(seconds, begins))
            made.append((first, second))
        return made


class Parts(NamedTuple):
    """Rows by their use: of each series a range of rows that are the last ones forecast from a window."""

    train: tuple[range, ...]
    held_out: tuple[range, ...]
    test: tuple[range, ...]

    @classmethod
    def made(
        cls, series: Sequence[Series], cuts: Sequence[Sequence[int]], window: int, horizon: int, steps: int
    ) -> "Parts":
        """Cut series; a window may reach back into the part before, what is forecast from it may not.

        Args:
            series: rows that follow each other.
            cuts: of each, where the rows that validate begin, and those kept for a test.
            window: rows read.
            horizon: rows from the last one read to the last one forecast.
            steps: of these the last so many are forecast.
        """
        parts: list[list[range]] = [[], [], []]
        for one, (first, second) in zip(series, cuts, strict=True):
            least = one.rows.start + window + horizon - 1
            bounds = (
                (least, first),
                (max(least, first + steps - 1), second),
                (max(least, second + steps - 1), one.rows.stop),
            )
            for part, (start, stop) in zip(parts, bounds, strict=True):
                part.append(range(start, max(start, stop)))
        return cls(*map(tuple, parts))


def told(series: Sequence[Series], cuts: Sequence[tuple[int, int]], time: Time | None) -> str:
    """Say how many rows each part has, and up to when they go."""
    counts = [0, 0, 0]
    lasts = [-np.inf, -np.inf, -np.inf]
    for one, (first, second) in zip(series, cuts, strict=True):
        for at, (start, stop) in enumerate(((one.rows.start, first), (first, second), (second, one.rows.stop))):
            counts[at] += stop - start
            if time is not None and stop > start and np.isfinite(time.seconds[start:stop]).any():
                lasts[at] = max(lasts[at], float(np.nanmax(time.seconds[start:stop])))
    words = []
    for use, count, last in zip(("train", "validate", "test"), counts, lasts, strict=True):
        until = f" (to {_moment(last, time)})" if time is not None and np.isfinite(last) else ""
        words.append(f"{count} {use}{until}")
    return f"rows: {', '.join(words)}"


def check_enough(source: str, parts: Parts, series: Sequence[Series], split: Split, least: tuple[int, int]) -> None:
    """Raise DataError if nothing trains, or nothing validates."""
    if any(parts.train) and any(parts.held_out):
        return
    if split.dates:
        raise DataError(
            f"{source} has too few rows before the dates of split: {sum(map(len, parts.train))} window(s) train and "
            f"{sum(map(len, parts.held_out))} validate; a window with its horizon takes {least[0]} rows"
        )
    most = max(len(one.rows) for one in series)
    has = f"{most}" if len(series) == 1 else f"{most} at most in each of its {len(series)} series"
    raise DataError(
        f"{source} has too few rows, {has}: {split.shares[0]:.4g} % of them must be at least window + horizon = "
        f"{least[0]}, and {split.shares[1]:.4g} % at least {least[1]}"
    )


def check_known(source: str, parts: Parts, names: Sequence[str], values: NDArray[np.float64], steps: int) -> None:
    """Raise DataError for a target without a number in all that trains, or in all that validates.

    Args:
        source: the table.
        parts: its rows by their use.
        names: of the targets.
        values: (N, K) the targets; NaN where one is missing.
        steps: that are forecast from a window, the last of them the row of a part.
    """
    for part, what in ((parts.train, "train"), (parts.held_out, "validate")):
        rows = listed(part).numpy()[:, None] + np.arange(1 - steps, 1)
        for name, column in zip(names, values.T, strict=True):
            if np.isfinite(column[rows]).any():
                continue
            raise DataError(
                f"{source}, column {name!r}: none of the rows that {what} holds a number, and it is to be forecast; "
                "name another target, or cut the rows elsewhere (split)"
            )


def listed(parts: Sequence[range]) -> Tensor:
    """Return the rows of several ranges (M,)."""
    return torch.cat([torch.arange(rows.start, rows.stop) for rows in parts])


def drawn(parts: Sequence[range], generator: torch.Generator, size: int) -> Tensor:
    """Draw rows of several ranges, each with the same chance."""
    lengths = torch.tensor([len(rows) for rows in parts])
    drawn = torch.randint(int(lengths.sum()), (size,), generator=generator)
    ends = lengths.cumsum(0)
    which = torch.searchsorted(ends, drawn, right=True)
    starts = torch.tensor([rows.start for rows in parts])
    return starts[which] + drawn - (ends - lengths)[which]


def _share(rows: range, percent: float) -> int:
    return int(len(rows) * percent / 100 + 1e-9)


def _as_list(given: object) -> list[object]:
    return list(given) if isinstance(given, list | tuple) else [given]


def _moment(seconds: float, time: Time) -> str:
    shown = float(local(np.array([seconds]), time.zone)[0]) if time.zone else seconds
    text = str(datetime.fromisoformat(str(np.datetime64(round(shown), "s"))))
    return text.removesuffix(" 00:00:00")
