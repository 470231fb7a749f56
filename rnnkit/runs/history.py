"""The history of a run: what metrics.jsonl and times.jsonl in its folder say, as arrays."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rnnkit.errors import CheckpointError
from rnnkit.runs.log import METRICS, TIMES
from rnnkit.runs.run_view import run_html
from rnnkit.runs.settings import Settings
from rnnkit.support.paths import AnyPath, as_path

Numbers = NDArray[np.float64]
Counts = NDArray[np.int64]
Row: TypeAlias = tuple[int | float, ...]
UPDATE = np.dtype([("step", "i8"), ("loss", "f8"), ("metric", "f8"), ("tokens", "i8")])
VALIDATION = np.dtype([("step", "i8"), ("loss", "f8"), ("metric", "f8")])


class Validations(NamedTuple):
    """The validations of a run, (M,) each."""

    step: Counts
    loss: Numbers
    metric: Numbers


class RunHistory(NamedTuple):
    """What a run did: an element an update, (N,) each; NaN stands for what was not finite, or is not known."""

    name: str
    """Of the run's folder."""
    settings: Settings
    step: Counts
    """Updates so far; increasing."""
    loss: Numbers
    metric: Numbers
    """The task's, over the steps that the update learnt from."""
    tokens: Counts
    """Time steps x rows learnt from so far."""
    seconds: Numbers
    """Since training began, validation left out; NaN where no time was written down."""
    validation: Validations

    def _repr_html_(self) -> str:
        """Show the settings, the last figures and the curve in a notebook."""
        return run_html(self)


def read_history(path: AnyPath) -> RunHistory:
    """Read what the run in folder `path` wrote down so far; it may still be running.

    A last line that was cut off is left out, as a kill in mid-write leaves it.

    Raises:
        CheckpointError: the folder is no run's, or a line is damaged.
    """
    path = as_path(path)
    settings = Settings.of_run(path)
    due: list[Row] = []
    updates = np.fromiter(_updates(path / METRICS, due), UPDATE)
    validations = np.array(due, VALIDATION)
    return RunHistory(
        path.resolve().name,
        settings,
        **{name: updates[name].copy() for name in UPDATE.names or ()},
        seconds=_seconds(path / TIMES, updates["step"]),
        validation=Validations(*(validations[name].copy() for name in VALIDATION.names or ())),
    )


def _updates(path: Path, due: list[Row]) -> Iterator[Row]:
    """Yield an UPDATE for each line; append a VALIDATION to `due` where there was one."""
    before = 0
    for line in _lines(path):
        step = line.count("step")
        if step <= before:
            raise line.damaged(f"step {step} comes after step {before}")
        before = step
        if "validation" in line.values:
            validation = line.table("validation")
            due.append((step, validation.number("loss"), validation.number("metric")))
        yield step, line.number("loss"), line.number("metric"), line.count("tokens")


def _seconds(path: Path, steps: Counts) -> Numbers:
    """Return the time of each step; of a step that was written down twice, the later line counts."""
    seconds = np.full(len(steps), math.nan)
    if path.exists():
        for line in _lines(path):
            at = int(np.searchsorted(steps, line.count("step")))
            if at < len(steps) and steps[at] == line.count("step"):
                seconds[at] = line.number("seconds")
    return seconds


class _Line(NamedTuple):
    """A line's values, and where it stands."""

    path: Path
    number_of_line: int
    values: dict[str, Any]

    def count(self, name: str) -> int:
        value = self.values.get(name)
        if type(value) is not int or not 0 <= value < 2**63:
            raise self.damaged(f"{name} is {value!r:.40}, not a count")
        return value

    def number(self, name: str) -> float:
        value = self.values.get(name, "missing")
        if value is not None and type(value) not in (int, float):
            raise self.damaged(f"{name} is {value!r:.40}, not a number")
        try:
            return float(value) if value is not None and math.isfinite(value) else math.nan
        except OverflowError:
            raise self.damaged(f"{name} is larger than any number") from None

    def table(self, name: str) -> "_Line":
        value = self.values[name]
        if not isinstance(value, dict):
            raise self.damaged(f"{name} is {value!r:.40}, not a table")
        return self._replace(values=value)

    def damaged(self, fault: str) -> CheckpointError:
        return CheckpointError(f"{self.path}, line {self.number_of_line}: {fault}; the file is damaged")


def _lines(path: Path) -> Iterator[_Line]:
    if not path.is_file():
        raise CheckpointError(f"{path} is not a file; the folder is not that of a run, or it is damaged")
    try:
        with path.open("rb") as file:
            for number, text in enumerate(file, start=1):
                try:
                    values = json.loads(text)
                except (ValueError, RecursionError):
                    if not text.endswith(b"\n"):
                        return
                    values = None
                line = _Line(path, number, values)
                if not isinstance(values, dict):
                    raise line.damaged("not a JSON object")
                yield line
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None
