"""What each column of a table is for: inputs, targets, time, or nothing; and the line that says so."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rnnkit.errors import DataError
from rnnkit_tasks.forecast.scaling import is_constant
from rnnkit_tasks.table.column import unlike_numbers
from rnnkit_tasks.table.obstacles import by_spaces
from rnnkit_tasks.table.order import Time, told
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

    def __str__(self) -> str:
        inputs = [
            quoted(name) + (f" ({self.constancy(name)})" if name in self.constant else "") for name in self.inputs
        ]
        targets = ", ".join(map(quoted, self.targets))
        if self.not_forecast:
            targets += f" (not {', '.join(f'{quoted(name)}: {why}' for name, why in self.not_forecast.items())})"
        time = " + ".join(map(quoted, self.time)) + (f" ({self.pace})" if self.pace else "")
        left = ", ".join(f"{quoted(name)} ({why})" for name, why in self.left_out.items())
        parts = [
            f"inputs: {', '.join(inputs)}",
            f"targets: {targets}",
            f"time: {time or 'none, rows are taken to go from the oldest to the newest'}",
            f"left out: {left or 'none'}",
            *self.notes,
        ]
        return "; ".join(parts)

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


def roles(
    table: Table, time: Time | None, whys: Mapping[str, str], asked: Mapping[str, Sequence[str]], training: int
) -> Roles:
    """Decide what each column is for.

    Args:
        table: the oldest row first.
        time: of its rows.
        whys: what other columns have to do with time, by name.
        asked: names of "columns", "target" and "leave_out", each maybe none.
        training: how many rows train.

    Raises:
        DataError: a column that looks like numbers is none; or there is nothing to forecast.
    """
    columns, targets, out = (list(asked[key]) for key in ("columns", "target", "leave_out"))
    made = Roles(time=time.names if time else [], pace=told(time, table.lines) if time else "", notes=table.notes)
    made.inputs = columns or [name for name in table.columns if _is_input(table, name, whys, out)]
    used = {*made.inputs, *targets}
    whole = {name: table.columns[name].numbers for name in used if table.columns[name].regular}
    made.constant = [name for name in table.columns if name in whole and is_constant(whole[name][:training])]
    made.later = [name for name in made.constant if not is_constant(whole[name])]
    if not made.inputs:
        spaced = any(by_spaces(column.top(100)) for column in table.columns.values())
        remedy = "if cells have spaces between, give delimiter=' '" if spaced else "name the delimiter"
        raise DataError(f"{table.source} has no column of numbers; write them as 1.5 or 2e-3, or {remedy}{table.cut()}")
    withheld = {} if targets else {name: why for name in made.inputs if (why := _withheld(whole, made, name))}
    if not targets:
        targets = [name for name in made.inputs if name not in withheld]
    if not targets:  # whoever has nothing but counters means them
        targets = [name for name in made.inputs if name not in made.constant]
        made.notes.append("nothing but what counts is there to forecast")
        withheld = {name: why for name, why in withheld.items() if name in made.constant}
    if not targets:
        first = quoted(made.inputs[0])
        raise DataError(
            f"{table.source} has nothing to forecast: {first} is constant over the rows that train, as all of its "
            "columns are; name one with target= if that is meant"
        )
    made.targets, made.not_forecast = targets, withheld
    for name, column in table.columns.items():
        if name not in {*made.inputs, *made.targets, *made.time}:
            asked_out = "as asked" if name in out else "not asked for" if columns else ""
            made.left_out[name] = asked_out or whys.get(name) or unlike_numbers(column)
    return made


def _is_input(table: Table, name: str, whys: Mapping[str, str], out: Sequence[str]) -> bool:
    """Tell whether a column is of numbers.

    Raises:
        DataError: it looks like that, and is not.
    """
    column = table.columns[name]
    if name in out or name in whys:
        return False
    if column.regular:
        return True
    if not unlike_numbers(column):
        raise table.fault(name)
    return False


def _withheld(numbers: Mapping[str, Any], made: Roles, name: str) -> str:
    if name not in numbers:
        return ""
    return made.constancy(name) if name in made.constant else counter(name, numbers[name])
