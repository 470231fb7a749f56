"""Assignments: `KEY=VALUE` and `TABLE.KEY=VALUE`, as every `--set` of the command line takes them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from rnnkit.errors import UsageError, nearest
from rnnkit.plugin.expression import value_of


class Assignment(NamedTuple):
    """One `--set`."""

    table: str
    """Whose option it is: "cell", "task", ...; empty: it is no option of a plugin's."""

    key: str
    value: Any
    """Read as the values in expressions that stand for cells."""


def read_assignments(texts: Iterable[str], tables: Sequence[str], *, bare: bool = False) -> Iterator[Assignment]:
    """Read the texts of `--set`.

    Args:
        texts: as they were given.
        tables: those that there are.
        bare: whether KEY=VALUE without a table is one too.

    Raises:
        UsageError: it is of another form, or names a table that is not there.
    """
    form = (
        "KEY=VALUE or TABLE.KEY=VALUE, such as lr=0.01" if bare else f"TABLE.KEY=VALUE, such as {tables[0]}.bias=false"
    )
    for text in texts:
        path, equals, value = text.partition("=")
        table, dot, key = path.partition(".")
        if not equals or (dot and not key) or (bare and not table) or not (dot or bare):
            raise UsageError(f"--set {text!r} is not of the form {form}")
        if not dot:
            yield Assignment("", table, value_of(value))
        elif table in tables:
            yield Assignment(table, key, value_of(value))
        else:
            raise UsageError(
                f"--set {text!r}: unknown table {table!r}{nearest(table, tables)}; one of {', '.join(tables)}"
            )


def by_table(texts: Iterable[str], tables: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Read `TABLE.KEY=VALUE` texts into a dict for each table."""
    options: dict[str, dict[str, Any]] = {table: {} for table in tables}
    for table, key, value in read_assignments(texts, tables):
        options[table][key] = value
    return options
