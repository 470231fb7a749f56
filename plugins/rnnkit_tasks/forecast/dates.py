"""Parts of the date in operations of torch's, as `calendar` computes them of a table."""

import math

import torch
from torch import Tensor

from rnnkit_tasks.forecast.calendar import MONDAY, PERIODS, SATURDAY
from rnnkit_tasks.table.order import UNITS

YEAR = 365.2425
"""Days of a year, on average."""

BEFORE_1970 = 719_162
"""Days from the first of January of the year 1."""


def date_part(seconds: Tensor, part: str, face: str) -> Tensor:
    """Return a face of a part of the date, of local seconds since 1970 (...), float64, as `calendar` does."""
    if part == "year":
        place = _in_year(seconds)
    else:
        place = torch.remainder(seconds - (MONDAY if part == "weekday" else 0.0), PERIODS[part]) / PERIODS[part]
    if face == "weekend":
        return (place * UNITS["week"] >= SATURDAY).double()
    return (torch.sin if face == "sine" else torch.cos)(2 * math.pi * place)


def _in_year(seconds: Tensor) -> Tensor:
    """Return the share of its year that has passed."""
    days = torch.floor(seconds / UNITS["day"])
    year = torch.floor(days / YEAR) + 1970  # or the one beside it
    year = year + (_begin(year + 1) <= days).double() - (_begin(year) > days).double()
    first, last = _begin(year), _begin(year + 1)
    return (seconds / UNITS["day"] - first) / (last - first)


def _begin(year: Tensor) -> Tensor:
    """Return the day on which a year begins, counted from the first of January 1970."""
    gone = year - 1
    leap = torch.floor(gone / 4) - torch.floor(gone / 100) + torch.floor(gone / 400)
    return 365 * gone + leap - BEFORE_1970
