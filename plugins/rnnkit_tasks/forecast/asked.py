"""What is asked of a table: the options of the task `csv`, read and checked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rnnkit.errors import UsageError, check_whole
from rnnkit_tasks.forecast.gaps import POLICIES
from rnnkit_tasks.forecast.options import (
    calendar_of,
    dates_of,
    decimal_of,
    delimiter_of,
    header_of,
    names_of,
    one_of,
    order_of,
    quantiles_of,
    text_of,
)
from rnnkit_tasks.forecast.parts import Split
from rnnkit_tasks.table.source import Source
from rnnkit_tasks.table.steps import Step
from rnnkit_tasks.table.table import Table
from rnnkit_tasks.table.zones import zone_of

ALL, LAST = "all", "last"
STEPS = (ALL, LAST)
AUTO, FROM_LAST, FROM_MEAN = "auto", "last", "mean"
LEVELS = (AUTO, FROM_LAST, FROM_MEAN)
"""What forecasts are told as changes from: the last value, the mean of the rows that train, or the nearer one."""

"""All steps up to the horizon are forecast, or the last one alone."""

NAMED = ("columns", "target", "known", "leave_out")
"""Options that name columns; those of a table can be told once it is read, for a name may have a comma."""


class Asked(NamedTuple):
    """Options, as they are used."""

    source: Source
    window: int
    horizon: int
    steps: str
    split: Split
    missing: str
    calendar: tuple[str, ...] | None
    """Parts of the date that are inputs; None: those of use."""
    quantiles: tuple[float, ...]
    level: str
    given: Mapping[str, Any]
    """What was given for columns."""
    columns: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()

    @property
    def key(self) -> str | None:
        """The column that tells series apart."""
        return self.source.key

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> "Asked":
        """Read the keyword arguments of the task.

        Raises:
            UsageError: one makes no sense.
        """
        for name in ("window", "horizon"):
            check_whole(f"task 'csv': {name}", options[name])
        every, zone, file = options["every"], options["zone"], options["file"]
        source = Source(
            None if file is None else Path(str(file)),
            delimiter_of(options["delimiter"]),
            header_of(options["header"]),
            order_of(options["order"]),
            decimal=decimal_of(options["decimal"]),
            key=text_of("key", options["key"]),
            every=None if every is None else Step.read(every).text,
            zone=None if zone is None else zone_of(zone),
            dates=dates_of(options["dates"]),
        )
        if source.decimal is not None and source.decimal == source.delimiter:
            raise UsageError(f"task 'csv': delimiter and decimal are both {source.decimal!r}; they must differ")
        return cls(
            source,
            options["window"],
            options["horizon"],
            one_of("steps", options["steps"], STEPS),
            Split.read(options["split"]),
            one_of("missing", options["missing"], POLICIES),
            calendar_of(options["calendar"]),
            quantiles_of(options["quantiles"]),
            one_of("level", options["level"], LEVELS),
            {name: options[name] for name in NAMED},
            leave_out=tuple(names_of("leave_out", options["leave_out"], ())),
        )

    def of(self, table: Table) -> "Asked":
        """Return them with the names that a table has.

        Raises:
            UsageError: a name that it lacks.
        """
        names = [tuple(names_of(name, self.given[name], table.columns)) for name in NAMED]
        for name in (name for several in names for name in several):
            table.column(name)
        columns, target, known, leave_out = names
        made = self._replace(columns=columns, target=target, known=known, leave_out=leave_out)
        made._check()
        return made

    def _check(self) -> None:
        """Raise UsageError for a column that is asked for two things which exclude each other."""
        for option in ("columns", "target", "known"):
            for name in getattr(self, option):
                other = "leave_out" if name in self.leave_out else "key" if name == self.key else ""
                if other:
                    raise UsageError(
                        f"task 'csv': {option} and {other} both name {name!r}; leave it out of one of them"
                    )
        both = [name for name in self.target if name in self.known]
        if both:
            raise UsageError(f"task 'csv': target and known both name {both[0]!r}; what is known is not to be forecast")

    @property
    def span(self) -> int:
        """How many steps are forecast from a window."""
        return self.horizon if self.steps == ALL else 1
