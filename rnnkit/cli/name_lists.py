"""Lists of names on the command line: between commas, or by an option that is repeated."""

from typing import Any

import click

from rnnkit.errors import UsageError
from rnnkit.plugin.expression import split


class Names(click.ParamType[tuple[str, ...]]):
    """Names between commas; those inside of brackets belong to an expression: 'lstm,zoneout(gru, rate=0.1)'.

    Args:
        noun: what they are names of, in the plural.
        example: of a list, for who gives none.
    """

    def __init__(self, noun: str, example: str) -> None:
        self.name, self.example = noun, example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Read it, or fail saying what it must be."""
        if isinstance(value, tuple):
            return value
        try:
            names = tuple(split(str(value)))
        except UsageError as error:
            self.fail(str(error), param, ctx)
        if not names or not all(names):
            self.fail(f"{value!r} is not {self.name} between commas, such as {self.example}", param, ctx)
        return names

    def split_envvar_value(self, rv: str) -> tuple[str, ...]:
        """Take a value of the environment whole: blanks belong to expressions."""
        return (rv,)
