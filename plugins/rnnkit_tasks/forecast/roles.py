"""What each column of a table is for: inputs, targets, time, key, or nothing; and the line that says so."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rnnkit.errors import DataError
from rnnkit_tasks.forecast.asked import Asked
from rnnkit_tasks.forecast.calendar import SAID
from rnnkit_tasks.forecast.features import ANSWER, CATEGORY, NUMBER, is_categorical
from rnnkit_tasks.forecast.scaling import is_constant
from rnnkit_tasks.table.cells import is_missing
from rnnkit_tasks.table.column import unlike_numbers
from rnnkit_tasks.table.obstacles import by_spaces
from rnnkit_tasks.table.order import reading_of, told
from rnnkit_tasks.table.source import Reading
from rnnkit_tasks.table.stamps import counter
from rnnkit_tasks.table.table import Table


@dataclass
class Roles:
    """Every column of a table is in one of these, or more."""

    inputs: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    time: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    """By name, why."""
    constant: list[str] = field(default_factory=list)
    """Inputs or targets that are constant over the rows that train."""
    later: list[str] = field(default_factory=list)
    """Those of them that vary in later rows."""
    not_forecast: dict[str, str] = field(default_factory=dict)
    """Inputs that are no targets where none are asked for: by name, why."""
    pace: str = ""
    """How the rows follow each other in time."""
    notes: list[str] = field(default_factory=list)
    """On how the file was read."""
    kinds: dict[str, str] = field(default_factory=dict)
    """Of inputs that are no numbers: by name, "yes/no" or "category"."""
    ahead: list[str] = field(default_factory=list)
    """Inputs that are known of later rows, too."""
    key: str = ""
    """The column that tells series apart."""
    calendar: list[str] = field(default_factory=list)
    """Parts of the date that are inputs."""

    def __str__(self) -> str:
        targets = ", ".join(map(quoted, self.targets))
        if self.not_forecast:
            targets += f" (not {', '.join(f'{quoted(name)}: {why}' for name, why in self.not_forecast.items())})"
        time = " + ".join(map(quoted, self.time)) + (f" ({self.pace})" if self.pace else "")
        left = ", ".join(f"{quoted(name)} ({why})" for name, why in self.left_out.items())
        parts = [
            f"inputs: {', '.join(quoted(name) + self._aside(name) for name in self.inputs)}",
            f"targets: {targets}",
            f"time: {time or 'none, rows are taken to go from the oldest to the newest'}",
            f"left out: {left or 'none'}",
            *([f"key: {quoted(self.key)}"] if self.key else []),
            *([f"of the date: {', '.join(SAID[part] for part in self.calendar)}"] if self.calendar else []),
            *self.notes,
        ]
        return "; ".join(parts)

    def _aside(self, name: str) -> str:
        """Say in brackets what an input is beside a number that varies."""
        words = [
            self.kinds.get(name, ""),
            self.constancy(name) if name in self.constant else "",
            "known ahead" if name in self.ahead else "",
        ]
        said = ", ".join(filter(None, words))
        return f" ({said})" if said else ""

    def constancy(self, name: str) -> str:
        """Say how far a constant column is one."""
        return "constant over the rows that train" if name in self.later else "constant"


def quoted(name: str) -> str:
    """Write a name as in a line of a table: in quotes where it has a comma or the like."""
    plain = " ".join(name.split())
    if not set(plain) & set(',;"()'):
        return plain
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_ALL, lineterminator="").writerow([plain])
    return line.getvalue()


def roles(reading: Reading, asked: Asked, training: NDArray[np.int64]) -> Roles:
    """Decide what each column is for.

    Args:
        reading: the table.
        asked: for which columns were asked for what.
        training: rows that train.

    Raises:
        UsageError: a column is asked for two things that exclude each other.
        DataError: a column that looks like numbers is none; or there is nothing to forecast.
    """
    table, time, whys = reading.table, reading.time, reading.whys
    made = Roles(
        time=time.names if time else [],
        pace="" if time is None else reading_of(time) if asked.key else told(time, table.lines),
        notes=table.notes,
        key=asked.key or "",
    )
    made.inputs = list(asked.columns) or [
        name for name in table.columns if _is_input(table, name, whys, asked, training)
    ]
    made.inputs += [name for name in asked.known if name not in made.inputs]
    made.ahead = list(asked.known)
    made.kinds = {name: kind for name in made.inputs if (kind := _kind(table, name, training)) != NUMBER}
    used = {*made.inputs, *asked.target}
    whole = {name: table.columns[name].numbers for name in used if _numeric(table, name)}
    made.constant = [name for name in table.columns if name in whole and is_constant(whole[name][training])]
    made.later = [name for name in made.constant if not is_constant(whole[name])]
    if not made.inputs or not (asked.target or {*made.inputs} - {*made.kinds}):
        spaced = any(by_spaces(column.top(100)) for column in table.columns.values())
        remedy = "if cells have spaces between, give delimiter=' '" if spaced else "name the delimiter"
        raise DataError(f"{table.source} has no column of numbers; write them as 1.5 or 2e-3, or {remedy}{table.cut()}")
    _check_targets(table, asked)
    _choose_targets(table, made, asked, whole)
    for name, column in table.columns.items():
        if name not in {*made.inputs, *made.targets, *made.time, made.key}:
            asked_out = "as asked" if name in asked.leave_out else "not asked for" if asked.columns else ""
            made.left_out[name] = asked_out or whys.get(name) or unlike_numbers(column)
    return made


def _check_targets(table: Table, asked: Asked) -> None:
    """Raise DataError for a target of words, or of yes and no."""
    for name in asked.target:
        column = table.columns[name]
        looks = "" if column.regular else unlike_numbers(column)
        if looks not in ("yes/no", "text"):
            continue
        row, cell = next(odd for odd in zip(column.odd_rows, column.odd_cells, strict=True) if not is_missing(odd[1]))
        remedy = "write 1 for yes and 0 for no, or name another" if looks == "yes/no" else "name another"
        raise DataError(
            f"{table.source}, line {table.lines[row]}, column {name!r}: {cell[:40]!r} is {looks}, and a target must be "
            f"numbers; {remedy}{table.cut()}"
        )


def _choose_targets(table: Table, made: Roles, asked: Asked, whole: Mapping[str, NDArray[np.float64]]) -> None:
    """Set what is forecast: what was asked for, or all numbers that vary and count nothing."""
    targets = list(asked.target)
    able = [name for name in made.inputs if name not in made.kinds and name not in made.ahead]
    withheld = {} if targets else {name: why for name in able if (why := _withheld(whole, made, name))}
    if not targets:
        targets = [name for name in able if name not in withheld]
    if not targets:  # whoever has nothing but counters means them
        targets = [name for name in able if name not in made.constant]
        if targets:
            made.notes.append("nothing but what counts is there to forecast")
        withheld = {name: why for name, why in withheld.items() if name in made.constant}
    if not targets:
        first = quoted((able or made.inputs)[0])
        raise DataError(
            f"{table.source} has nothing to forecast: {first} is constant over the rows that train, as all "
            "of its columns are; name one with target= if that is meant"
        )
    made.targets, made.not_forecast = targets, withheld


def _is_input(table: Table, name: str, whys: Mapping[str, str], asked: Asked, training: NDArray[np.int64]) -> bool:
    """Tell whether a column is of numbers, of yes and no, or of categories.

    Raises:
        DataError: it looks like numbers, and is not.
    """
    column = table.columns[name]
    if name in asked.leave_out or name in whys or name == asked.key:
        return False
    if column.regular:
        return True
    if unlike_numbers(column):
        return _kind(table, name, training) != NUMBER
    if not all(map(is_missing, column.odd_cells)):
        raise table.fault(name)
    return True


def _kind(table: Table, name: str, training: NDArray[np.int64]) -> str:
    column = table.column(name)
    looks = "" if column.regular else unlike_numbers(column)
    if looks == "yes/no":
        return ANSWER
    return CATEGORY if looks == "text" and is_categorical(table, name, training) else NUMBER


def _numeric(table: Table, name: str) -> bool:
    """Tell whether a column holds numbers alone, but for those that are missing."""
    column = table.columns[name]
    return column.regular or (len(column.odd_cells) < column.rows and all(map(is_missing, column.odd_cells)))


def _withheld(numbers: Mapping[str, NDArray[np.float64]], made: Roles, name: str) -> str:
    if name not in numbers:
        return ""
    return made.constancy(name) if name in made.constant else counter(name, numbers[name][np.isfinite(numbers[name])])
