"""The options of a class: their types in words, their defaults as `--set` takes them, and what docstrings say."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import rnnkit
from rnnkit.plugin.constructor_options import constructor_options, documented_arguments, without_arguments


class Base(rnnkit.Task):
    """A base.

    Args:
        length: how long
            it is: in steps.
        kind (str): what a subclass says otherwise.
    """

    batch = loss = metric = None


class Told(Base):
    """Something to learn.

    Args:
        kind: which one.

    Raises:
        ValueError: never.
    """

    def __init__(
        self,
        needed,
        *,
        length: int = 3,
        kind: str | None = None,
        words: str | Sequence[str] = "",
        late: "bool" = True,
        rates: dict[str, float] | float = 0.5,
        table={"a": 1},  # noqa: B006
        file: Path | None = None,
        unknown: Any = print,
        **others,
    ):
        """Take all."""


def test_types_defaults_and_help():
    told = {option.name: tuple(option)[1:] for option in constructor_options(Told)}
    assert told == {
        "needed": ("", "required", ""),
        "length": ("a whole number", "3", "how long it is: in steps."),
        "kind": ("text", "none", "which one."),
        "words": ("text or a list", '""', ""),
        "late": ("true/false", "true", ""),
        "rates": ("a table or a number", "0.5", ""),
        "table": ("a table", '{"a": 1}', ""),
        "file": ("", "none", ""),
        "unknown": ("", repr(print), ""),
    }
    assert [str(option) for option in constructor_options(Told)][:3] == [
        "needed (required)",
        "length=3 (a whole number): how long it is: in steps.",
        "kind (text): which one.",
    ]


def test_a_docstring_without_its_arguments():
    text = "Something.\n\nArgs:\n    a: one.\n\n    b: two\n        lines.\n\nRaises:\n    E: never."
    assert without_arguments(text) == "Something.\n\nRaises:\n    E: never."
    assert without_arguments("Nothing of the kind.") == "Nothing of the kind."


@pytest.mark.parametrize("kind", [*rnnkit.cells.values(), *rnnkit.tasks.values(), *rnnkit.unrollers.values()], ids=str)
def test_no_docstring_tells_of_an_argument_that_there_is_not(kind):
    options = {option.name for option in constructor_options(kind)}
    own = type("Own", (), {"__doc__": kind.__doc__})
    assert set(documented_arguments(own)) - options <= {"input_size", "hidden_size", "**options"}
