"""What a run learnt of its table, beside its weights: all that is needed to read another one and to forecast it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rnnkit_tasks.forecast.asked import ALL, LAST, STEPS
from rnnkit_tasks.forecast.features import (
    CALENDAR,
    NUMBER,
    Feature,
    encoded,
)
from rnnkit_tasks.forecast.frame import Frame, ahead_ends, truth, with_ahead
from rnnkit_tasks.forecast.gaps import POLICIES
from rnnkit_tasks.forecast.options import quantiles_of
from rnnkit_tasks.forecast.parts import Parts
from rnnkit_tasks.forecast.roles import Roles
from rnnkit_tasks.forecast.scaling import Scales
from rnnkit_tasks.forecast.windows import Windows, tensor
from rnnkit_tasks.table.series import Series, laid
from rnnkit_tasks.table.source import Reading, Source

FIRST_CUTS = (70, 85)
"""Percent of the rows where validation and test begin in runs of the first rnnkit."""


class Learnt(NamedTuple):
    """Of a table: how it is read, what its columns are for, their scales, and what is asked of it."""

    source: Source
    window: int
    horizon: int
    steps: str
    missing: str
    quantiles: tuple[float, ...]
    roles: Roles
    features: tuple[Feature, ...]
    inputs: Scales
    targets: Scales
    kept: tuple[tuple[str, int], ...]
    """Names of the series, "" of one alone, and how many rows each had."""
    cuts: tuple[tuple[int, int], ...]
    """Of each, the row on which validation begins, and the test, counted over all."""
    level: tuple[int, ...] = ()
    """Places of the features whose last value each target is told as a change from; (): from the mean."""

    @property
    def span(self) -> int:
        """How many steps are forecast from a window."""
        return self.horizon if self.steps == ALL else 1

    @property
    def ahead(self) -> list[int]:
        """Places of the features that are known ahead."""
        return [at for at, feature in enumerate(self.features) if feature.ahead]

    @property
    def input_size(self) -> int:
        """Numbers that a model reads a row."""
        return len(self.features) + self.horizon * len(self.ahead)

    @property
    def reading(self) -> str:
        """How its dates were read, where days and months could change places: "day first", "month first"; else ""."""
        return next((note for note in ("day first", "month first") if self.roles.pace.startswith(note)), "")

    @property
    def series(self) -> list[Series]:
        """The series, one behind the other."""
        return laid(self.kept)

    @property
    def parts(self) -> Parts:
        """Which rows are for what."""
        return Parts.made(self.series, self.cuts, self.window, self.horizon, self.span)

    def levels(self, windows: Windows, ends: Tensor) -> Tensor:
        """Return what is to be added to what a model says after windows that end in rows `ends` (M,): (M, 1, K)."""
        if not self.level:
            return windows.rows.new_zeros(len(ends), 1, len(self.roles.targets))
        return windows.known[ends][:, list(self.level)].unsqueeze(1)

    def frame(
        self,
        reading: Reading,
        stops: Sequence[int],
        leave: bool,
        notes: list[str] | None = None,
        place: str | None = None,
    ) -> Frame:
        """Return a table as numbers.

        Args:
            reading: the table, which has all columns of the inputs.
            stops: of each series, the row after the last known one.
            leave: whether a column that is unfit may be left out instead.
            notes: where it is told what has not been seen before.
            place: what to call it where a number is too large; None: as it is called.

        Raises:
            DataError: a cell is unfit, or empty where it must not be.
        """
        place = reading.table.source if place is None else place
        raw = encoded(reading, self.features, leave, notes)
        check_gaps(reading, self.features, raw, stops, self.missing, leave)
        ends = ahead_ends(raw, self.ahead, reading.series, stops)
        later = [feature if feature.ahead else None for feature in self.features]
        check_gaps(reading, later, raw, ends, self.missing, leave)
        normal = self.inputs.apply(place, [feature.name for feature in self.features], raw, reading.series)
        wide = with_ahead(normal, self.ahead, self.horizon, reading.series)
        values = truth(reading, self.roles.targets, stops, leave)
        judged = self.targets.apply(place, self.roles.targets, values, reading.series)
        windows = Windows.of(wide, reading.series, self.window, self.missing)
        return Frame(windows, reading.series, list(stops), values, tensor(judged), ends)

    def to_json(self) -> dict[str, Any]:
        """Return what JSON takes, all but the place of the file."""
        return {
            "reading": self.source.to_json(),
            "rows": sum(rows for _, rows in self.kept),
            "roles": asdict(self.roles),
            "inputs": self.inputs.to_json(),
            "targets": self.targets.to_json(),
            "features": [list(feature) for feature in self.features],
            "series": [list(one) for one in self.kept],
            "cuts": [list(cut) for cut in self.cuts],
            "steps": self.steps,
            "missing": self.missing,
            "quantiles": list(self.quantiles),
            "level": list(self.level),
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any], file: Any, window: int, horizon: int) -> "Learnt":
        """Read what `to_json` returned, by this rnnkit or the first one, which knew numbers of one series alone.

        Raises:
            LookupError, TypeError, ValueError: it is something else.
        """
        made, rows = Roles(**state["roles"]), state["rows"]
        if type(rows) is not int or rows < 1 or not made.inputs or not made.targets:
            raise ValueError("it has no rows, inputs or targets")
        features = tuple(Feature(*one) for one in state.get("features", [[NUMBER, name] for name in made.inputs]))
        kept = tuple((str(name), int(count)) for name, count in state.get("series", [["", rows]]))
        first = [[rows * percent // 100 for percent in FIRST_CUTS]]
        cuts = tuple((int(one), int(other)) for one, other in state.get("cuts", first))
        steps, missing = state.get("steps", LAST), state.get("missing", POLICIES[0])
        if len(cuts) != len(kept) or sum(count for _, count in kept) != rows or steps not in STEPS or not features:
            raise ValueError("its series, their parts or its features do not fit each other")
        if missing not in POLICIES:
            raise ValueError(f"it fills gaps by {missing!r}")
        level = tuple(int(place) for place in state.get("level", []))
        if level and (len(level) != len(made.targets) or not all(0 <= place < len(features) for place in level)):
            raise ValueError("it has no level for each target")
        source = Source.from_json(None if file is None else Path(str(file)), state["reading"])
        return cls(
            source._replace(merged=source.key is not None and any(not name for name, _ in kept)),
            window,
            horizon,
            steps,
            missing,
            quantiles_of(state.get("quantiles") or None),
            made,
            features,
            Scales.from_json(state["inputs"], len(features)),
            Scales.from_json(state["targets"], len(made.targets)),
            kept,
            cuts,
            level,
        )


def check_gaps(
    reading: Reading,
    features: Sequence[Feature | None],
    raw: NDArray[np.float64],
    stops: Sequence[int],
    policy: str,
    leave: bool,
) -> None:
    """Raise DataError for the first number that is missing, where that is refused; None: not looked at."""
    if policy != POLICIES[0] or np.isfinite(raw).all():
        return
    for at, feature in enumerate(features):
        for (_, rows), stop in zip(reading.series, stops, strict=True):
            part = raw[rows.start : stop, at]
            if feature is not None and feature.kind != CALENDAR and not np.isfinite(part).all():
                raise reading.table.gap(feature.name, leave)
