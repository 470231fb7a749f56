"""Tables in Parquet files, read by pyarrow, which the extra `parquet` brings."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import numpy as np

from rnnkit.errors import DataError, one_line
from rnnkit_tasks.table.column import Column
from rnnkit_tasks.table.table import Table

MAGIC = b"PAR1"


def is_parquet(path: Path) -> bool:
    """Tell whether a file is one, by its first bytes."""
    try:
        if not path.is_file():  # a pipe, of which nothing may be taken
            return False
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except (OSError, ValueError):  # whoever reads it as text says so
        return False


def read_parquet(path: Path) -> Table:
    """Read a table.

    Raises:
        DataError: there is no pyarrow, or the file is damaged, empty or has no rows.
    """
    if find_spec("pyarrow") is None:
        raise DataError(f"{path} is a Parquet file, which needs pyarrow; pip install 'rnnkit[parquet]'")
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path} is a Parquet file that cannot be read ({one_line(error)}); give another") from None
    if not table.num_rows or not table.num_columns:
        raise DataError(f"{path} has no rows; give a table of numbers")
    columns = {str(name): _column(column) for name, column in zip(table.column_names, table.columns, strict=True)}
    if len(columns) < table.num_columns:
        raise DataError(f"{path} has several columns of one name; give each a name of its own")
    made = Table(str(path), columns, notes=["a Parquet file"])
    made.zones = {field.name: zone for field in table.schema if (zone := _zone(field.type))}
    return made


def _zone(kind: Any) -> str:
    """Return the zone whose clocks a column of times follows; "" if it names none, or UTC, or an offset alone."""
    import pyarrow

    name = str(kind.tz or "") if pyarrow.types.is_timestamp(kind) else ""
    return name if "/" in name and not name.startswith("Etc/") and name in available_timezones() else ""


def _column(column: Any) -> Column:
    import pyarrow

    kind = column.type
    if pyarrow.types.is_timestamp(kind) or pyarrow.types.is_date(kind):
        return _words([_moment(value) for value in column.to_pylist()])
    if pyarrow.types.is_boolean(kind):
        return _words([{True: "yes", False: "no", None: ""}[value] for value in column.to_pylist()])
    if pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind) or pyarrow.types.is_decimal(kind):
        numbers = np.array([np.nan if value is None else float(value) for value in column.to_pylist()])
        return Column.of(numbers, {int(row): _odd(numbers[row]) for row in np.flatnonzero(~np.isfinite(numbers))})
    return _words(["" if value is None else str(value) for value in column.to_pylist()])


def _words(cells: list[str]) -> Column:
    column = Column()
    column.append(cells)
    return column


def _odd(number: float) -> str:
    return "" if np.isnan(number) else str(number)


def _moment(value: Any) -> str:
    """Write a moment as the tables of text do."""
    return "" if value is None else str(value)
