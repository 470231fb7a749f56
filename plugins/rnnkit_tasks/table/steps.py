"""Even steps in time: 15min, 1h, day or month."""

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnkit.errors import UsageError
from rnnkit_tasks.table.order import UNITS

FORM = re.compile(r"(\d*)\s*([a-z]+)", re.IGNORECASE)
NAMES = {
    "s": "s second seconds sec secs",
    "min": "min minute minutes mins t",
    "h": "h hour hours hr hrs",
    "day": "d day days",
    "week": "w week weeks",
    "month": "month months mon",
    "quarter": "q quarter quarters",
    "year": "y year years",
}
MONTHS = {"month": 1, "quarter": 3, "year": 12}
MONDAY = 4 * UNITS["day"]
"""The first Monday of 1970, in seconds since its beginning."""

SHORT = ("s", "min", "h")
"""Steps that are as long whatever a clock says."""


class Step(NamedTuple):
    """An even step in time."""

    text: str
    number: int
    unit: str

    @classmethod
    def read(cls, text: object) -> "Step":
        """Read 15min, 1h, day, 2 weeks, month.

        Raises:
            UsageError: it is something else.
        """
        match = FORM.fullmatch(text.strip()) if isinstance(text, str) else None
        unit = next((u for u, names in NAMES.items() if match and match[2].lower() in names.split()), None)
        if match is None or unit is None or match[1] == "0":
            raise UsageError(
                f"task 'csv': every is {text!r}; it must be a step in time, such as 15min, 1h, day or month"
            )
        return cls(str(text).strip(), int(match[1] or 1), unit)

    def holding(self, seconds: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the number of the step that times (N,) lie in."""
        if self.unit in MONTHS:
            days = np.floor(seconds / UNITS["day"]).astype(np.int64).astype("datetime64[D]")
            months: NDArray[np.int64] = days.astype("datetime64[M]").astype(np.int64)
            return months // (MONTHS[self.unit] * self.number)
        first = MONDAY if self.unit == "week" else 0.0
        numbers: NDArray[np.int64] = np.floor((seconds - first) / (UNITS[self.unit] * self.number) + 1e-9).astype(
            np.int64
        )
        return numbers

    def begins(self, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return when steps begin."""
        if self.unit in MONTHS:
            months = (numbers * MONTHS[self.unit] * self.number).astype("datetime64[M]")
            days: NDArray[np.float64] = months.astype("datetime64[D]").astype(np.float64)
            return days * UNITS["day"]
        first = MONDAY if self.unit == "week" else 0.0
        return np.asarray(numbers * UNITS[self.unit] * self.number + first, dtype=np.float64)
