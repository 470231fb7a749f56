"""What a trained model says of data: what is asked by, and what comes back, whatever the task."""

import csv
import io
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

from rnnkit.support.atomic_files import reported, write_file
from rnnkit.support.own_files import check_not_own
from rnnkit.support.paths import AnyPath, as_path

Figure: TypeAlias = str | float | int | None
"""How good something was, or what it is a figure of; None where it has none."""

SHOWN = 10
"""Rows of a prediction that a notebook shows, from the end."""


class Prediction(ABC):
    """What a model says of rows of data: a table, how good it was where that is known, and how it came about.

    A task whose `predictor` returns something makes a subclass, or takes `rnnkit.Forecast` or `rnnkit.Labelling`.
    """

    notes: tuple[str, ...] = ()
    """How it was made, and what was guessed or left out: one sentence each, without a full stop."""

    event: ClassVar[str] = "figure"
    """What a row of `figures` is called in the JSON lines of `rnnkit predict`."""

    @abstractmethod
    def columns(self) -> dict[str, list[str]]:
        """Return the table that is written, column by column: cells as text, "" where nothing is known."""

    @abstractmethod
    def figures(self) -> list[dict[str, Figure]]:
        """Return how good it was where that is known, a row of a table each; all rows have the same keys."""

    def step_figures(self) -> list[dict[str, Figure]]:
        """Return how good it was by how far ahead, a row of a table each; [] where nothing is predicted ahead."""
        return []

    @abstractmethod
    def plot(self) -> Any:
        """Draw it: a figure of matplotlib, which the extra `plot` brings.

        Raises:
            UsageError: there is no matplotlib.
        """

    @abstractmethod
    def describe(self) -> str:
        """Return what the picture shows, in a sentence, for those who do not see it."""

    @abstractmethod
    def svg(self) -> str:
        """Return the picture as SVG for a page, in the colours of the text around it."""

    @abstractmethod
    def records(self) -> Iterator[dict[str, Any]]:
        """Yield a row at a time as JSON has it: numbers as in the table, None where nothing is known."""

    def to_csv(self, path: AnyPath | None = None, *, header: bool = True) -> str:
        """Return the table as comma-separated text, and write it to a file if one is given.

        Args:
            path: of the file, which is there whole or not at all; a pipe or the like is written into.
            header: whether the first line has the names of the columns.

        Raises:
            UsageError: the path is that of a file of a run's own. ResourceError: the disk or folder takes no more.
        """
        if path is not None:
            check_not_own(path)
        columns = self.columns()
        sheet = io.StringIO()
        writer = csv.writer(sheet, lineterminator="\n")
        if header:
            writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
        if path is not None:
            _write(as_path(path), sheet.getvalue().encode())
        return sheet.getvalue()

    def __repr__(self) -> str:
        """Return how many rows there are, and the names of their columns."""
        columns = self.columns()
        count = len(next(iter(columns.values()), []))
        return f"<{type(self).__name__} of {count} row(s): {', '.join(columns)}>"

    def _repr_html_(self) -> str:
        """Show the last rows, how good it was, the picture and the notes in a notebook."""
        columns = self.columns()
        rows = list(zip(*columns.values(), strict=True))
        shown = f"the last {SHOWN} of {len(rows)} rows" if len(rows) > SHOWN else f"{len(rows)} row(s)"
        parts = [_table(shown, columns, rows[-SHOWN:])]
        figures = self.figures()
        if figures:
            cells = [[written(value) for value in row.values()] for row in figures]
            parts.append(_table("how good it was", figures[0], cells))
        parts += [f"<p>{escape(note)}</p>" for note in self.notes]
        picture = f'<div style="max-width:40rem">{self.svg()}</div>' if find_spec("matplotlib") else ""
        return f"<div>{''.join(parts)}{picture}</div>"


class Predictor(ABC):
    """Says of a trained model what it makes of data: what `Task.predictor` returns."""

    @abstractmethod
    def predict(
        self,
        data: AnyPath | None = None,
        *,
        interval: float = 0.9,
        season: int | None = None,
        origins: str = "blocks",
    ) -> Prediction:
        """Say of the rows in a file, in the data's own units, what the model makes of them.

        Args:
            data: read as the run read its own; None: those of the run's own data that are kept for a test.
            interval: share of the truth that lies between the bounds, from 0 to 1; of a task that gives bounds.
            season: rows of a season, which a naive forecast repeats; None: what the data suggest.
            origins: of a task that forecasts several steps, from which rows: "blocks", so that each row is forecast
                once; "every" row; or the "last" one alone.

        Raises:
            DataError: they are missing, unreadable, too short or unfit.
        """

    def follow(self, lines: Iterable[str], *, interval: float = 0.9) -> Iterator[Prediction] | None:
        """Say of each line as it comes what the model makes of it: a prediction of one row each.

        None: data of this kind do not come line by line.

        Raises:
            DataError: a line is unfit, or there are too few of them.
        """
        return None


def _write(path: Path, data: bytes) -> None:
    """Write a file; what is there and no file, such as a pipe or /dev/stdout, is written into and not replaced."""
    if path.exists() and not path.is_file():
        with reported(path):
            path.write_bytes(data)
    else:
        write_file(path, data)


def written(figure: Figure) -> str:
    """Return a figure as a cell of a table: four digits, "" for None."""
    return "" if figure is None else f"{figure:.4g}" if isinstance(figure, float) else str(figure)


def _table(caption: str, headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in headings)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
