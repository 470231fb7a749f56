"""Options that several commands share."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from rnnkit.plugin.key_value import by_table
from rnnkit.runs.setting_fields import CELL_HELP
from rnnkit.support.byte_size import parse_bytes


class PositiveFloat(click.ParamType[float]):
    """A finite number above zero."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it, or fail saying what it must be."""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number) or number <= 0:
            self.fail(f"{value!r} is not a finite number > 0", param, ctx)
        return number


class MaybePositive(PositiveFloat):
    """A finite number of at least zero."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it, or fail saying what it must be."""
        return 0.0 if str(value).strip() in ("0", "0.0") else super().convert(value, param, ctx)


class Truncation(click.ParamType[tuple[int, int]]):
    """K1,K2 of truncated BPTT, 1 <= K1 <= K2."""

    name = "K1,K2"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Read it, or fail saying what it must be."""
        if isinstance(value, tuple):
            return value[0], value[1]
        try:
            k1, k2 = (int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not two whole numbers K1,K2", param, ctx)
        if not 1 <= k1 <= k2:
            self.fail(f"{value!r}: it must be 1 <= K1 <= K2, an update every K1 steps, back over K2", param, ctx)
        return k1, k2


def complete_names(noun: str) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Complete a name from what is registered."""

    def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from rnnkit.plugin import registry

        return [CompletionItem(name) for name in getattr(registry, f"{noun}s") if name.startswith(incomplete)]

    return complete


cell_option = click.option(
    "--cell",
    default="lstm",
    show_default=True,
    metavar="NAME|MODULE:CLASS",
    shell_complete=complete_names("cell"),
    help=f"{CELL_HELP}.",
)


def unroller_option(default: str) -> Callable[[Any], Any]:
    """Make `--unroller NAME`."""
    return click.option(
        "--unroller",
        default=default,
        show_default=True,
        metavar="NAME",
        shell_complete=complete_names("unroller"),
        help="How the steps are differentiated; `rnnkit unrollers` lists them.",
    )


def device_option(help: str, default: str | None = None) -> Callable[[Any], Any]:
    """Make `--device DEVICE`; `usable_device` tells whether there is one."""
    return click.option("--device", default=default, show_default=default is not None, metavar="DEVICE", help=help)


def trained(command: Callable[..., Any]) -> Callable[..., Any]:
    """Make the argument RUN, and `--best` and `--device`, of a command that uses what was trained."""
    for decorate in (
        device_option("Where to compute. [default: where it was trained]"),
        click.option("--best", is_flag=True, help="As it was at its best validation, not at its end."),
        click.argument("folder", metavar="RUN", type=click.Path(path_type=Path)),
    ):
        command = decorate(command)
    return command


def set_option(*tables: str) -> Callable[[Any], Any]:
    """Make `--set TABLE.KEY=VALUE`, for options of the plugins' own."""
    whose = " or ".join([", ".join(tables[:-1]), tables[-1]] if len(tables) > 1 else tables)
    return click.option(
        "--set",
        "assignments",
        multiple=True,
        allow_from_autoenv=False,
        metavar="TABLE.KEY=VALUE",
        help=f"An option of the {whose}'s own; may be repeated.",
    )


def _files(context: click.Context, parameter: click.Parameter, words: tuple[str, ...]) -> dict[str, Any]:
    """Read where files are now; a bare KEY=FILE is taken as well, for nothing but files of the task's can be meant."""
    paths = [text if "." in text.partition("=")[0] else f"task.{text}" for text in words]
    return by_table(paths, ("task",))["task"]


files_option = click.option(
    "--set",
    "files",
    multiple=True,
    allow_from_autoenv=False,
    metavar="task.KEY=FILE",
    callback=_files,
    help="Where a file of the task's is now, if it has moved; may be repeated.",
)


class MemorySize(click.ParamType[int]):
    """A number of bytes above zero: 4GiB, 500MB, 2g, 1000000."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it, or fail saying what it must be."""
        if isinstance(value, int):
            return value
        try:
            return parse_bytes(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
