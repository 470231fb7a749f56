"""What `rnnkit race` takes that is no setting of a run: lists of learning rates."""

from typing import Any

import click

from rnnkit.cli.options import PositiveFloat


class Rates(click.ParamType[tuple[float, ...]]):
    """Finite numbers above zero, between commas."""

    name = "rates"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """Read it, or fail saying what it must be."""
        if isinstance(value, tuple):
            return value
        return tuple(PositiveFloat().convert(part, param, ctx) for part in str(value).split(","))
