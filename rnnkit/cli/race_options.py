"""What `rnnkit race` takes that is no setting of a run: lists of cells and of learning rates."""

from typing import Any

import click

from rnnkit.cli.options import PositiveFloat
from rnnkit.errors import UsageError
from rnnkit.plugin.expression import split


class Cells(click.ParamType[tuple[str, ...]]):
    """Cells between commas; those inside of brackets belong to an expression: 'lstm,zoneout(gru, rate=0.1)'."""

    name = "cells"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Read it, or fail saying what it must be."""
        if isinstance(value, tuple):
            return value
        try:
            cells = tuple(split(str(value)))
        except UsageError as error:
            self.fail(str(error), param, ctx)
        if not all(cells):
            self.fail(f"{value!r} is not cells between commas, such as lstm,gru", param, ctx)
        return cells


class Rates(click.ParamType[tuple[float, ...]]):
    """Finite numbers above zero, between commas."""

    name = "rates"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """Read it, or fail saying what it must be."""
        if isinstance(value, tuple):
            return value
        return tuple(PositiveFloat().convert(part, param, ctx) for part in str(value).split(","))
