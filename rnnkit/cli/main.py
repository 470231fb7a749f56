"""The entry point: the commands, and how each error is answered."""

import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import click

import rnnkit
from rnnkit.cli.blame import blamed
from rnnkit.cli.commands.bench import bench
from rnnkit.cli.commands.check import check
from rnnkit.cli.commands.compare import compare
from rnnkit.cli.commands.diff import diff
from rnnkit.cli.commands.doctor import doctor
from rnnkit.cli.commands.eval import evaluate_run
from rnnkit.cli.commands.export import export
from rnnkit.cli.commands.gradcheck import gradcheck
from rnnkit.cli.commands.inspect import inspect
from rnnkit.cli.commands.listing import cells, tasks, unrollers
from rnnkit.cli.commands.new import new
from rnnkit.cli.commands.plugins import plugins
from rnnkit.cli.commands.predict import predict
from rnnkit.cli.commands.race import race
from rnnkit.cli.commands.run import run
from rnnkit.cli.commands.sample import sample
from rnnkit.cli.multiprocess import leave, noted, overseen
from rnnkit.cli.output import warnings_told
from rnnkit.cli.signals import Exit, terminable
from rnnkit.cli.streams import echo, prepare, settle, tell
from rnnkit.errors import LostError, PluginError, ResourceError, RnnkitError, nearest, one_line
from rnnkit.plugin.loader import ALLOW_LIST


class Group(click.Group):
    """A group that answers every error with one line on stderr and the right exit code."""

    def main(self, args: Sequence[str] | None = None, **extra: Any) -> NoReturn:  # type: ignore[override]
        """Run the command line and exit."""
        words = list(sys.argv[1:] if args is None else args)
        debug = "--debug" in words or os.environ.get("RNNKIT_DEBUG", "0") not in ("", "0")
        extra.update(prog_name="rnnkit", standalone_mode=False, obj=words)
        prepare()
        try:
            with terminable(), warnings_told():
                code = super().main([word for word in words if word != "--debug"], **extra) or 0
        except Exit as end:
            code = _answer(end.message, end.code) if end.message else end.code
        except LostError as error:
            code = error.exit_code if overseen() else _answer(str(error), error.exit_code)
        except Exception as error:
            if debug:
                with suppress(OSError):
                    traceback.print_exc()
            code = _answer(*_sentence(error))
        settle()
        leave(code)

    def make_context(self, *words: Any, **extra: Any) -> click.Context:
        """Read the command line; `--help` and `--version` print here."""
        with _answered():
            try:
                return super().make_context(*words, **extra)
            except click.exceptions.NoArgsIsHelpError as error:
                echo(error.format_message())
                raise Exit("", error.exit_code) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        with _answered():
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands into the help, by what they are for."""
        column = max(map(len, self.commands))  # as wide in every section
        for purpose, commands in PURPOSES.items():
            with formatter.section(purpose):
                names = [str(command.name).ljust(column) for command in commands]
                sentences = [command.get_short_help_str(formatter.width) for command in commands]
                formatter.write_dl(list(zip(names, sentences, strict=True)))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; offer the nearest one to a wrong name."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            raise click.UsageError(
                f"unknown command {args[0]!r}{nearest(args[0], self.commands)}; `rnnkit --help` lists them"
            )
        return super().resolve_command(ctx, args)


@contextmanager
def _answered() -> Iterator[None]:
    """Answer what ends a command from outside, before click answers in its own way."""
    try:
        yield
    except KeyboardInterrupt:
        raise Exit("interrupted", 130) from None
    except BrokenPipeError:  # whoever read our output has left
        raise Exit("", 0) from None


def _sentence(error: Exception) -> tuple[str, int]:
    """Return the line and the exit code that answer an error."""
    if isinstance(error, RnnkitError):
        return str(error), error.exit_code
    if isinstance(error, click.ClickException):
        return error.format_message(), error.exit_code
    if (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    ):
        return (
            f"out of memory ({one_line(error)}); lower --batch, --seq-len or --hidden",
            ResourceError.exit_code,
        )
    if not (isinstance(error, OSError) and _of_click(error)) and (line := blamed(error)):
        return f"{line} (--debug shows more)", PluginError.exit_code
    if isinstance(error, OSError):
        return (
            f"{error.filename or ('stdout' if _of_click(error) else 'a file')}: {error.strerror or error}",
            ResourceError.exit_code,
        )
    return f"unexpected {one_line(error)} (--debug shows where)", RnnkitError.exit_code


def _of_click(error: BaseException) -> bool:
    """Tell whether click raised it itself: it writes help to stdout, and nothing else anywhere."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__")).partition(".")[0] == "click"


def _answer(message: str, code: int) -> int:
    line = " ".join(message.split())
    if not noted(line, code):
        with suppress(BrokenPipeError):  # then nobody is there to be told
            tell(f"rnnkit: {line}")
    return code


def _without_plugins(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        os.environ[ALLOW_LIST] = ""


@click.group(
    cls=Group,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "RNNKIT",
        "max_content_width": 110,
    },
)
@click.version_option(rnnkit.__version__, "-V", "--version", message="rnnkit %(version)s")
@click.option(
    "--no-plugins",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_without_plugins,
    help="Load rnnkit's own plugins only (RNNKIT_PLUGINS=a,b lets in some).",
)
@click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    allow_from_autoenv=False,
    help="Show the traceback of an error; anywhere on the line.",
)
def main() -> None:
    """Recurrent cells written once, in plain tensor operations: train them, prove their gradients, plug in your own.

    \b
    rnnkit run                     an LSTM learns to write
    rnnkit gradcheck --cell lstm   every gradient against finite differences
    rnnkit cells                   what there is

    Exit codes: 0 ok, 1 unexpected failure, 2 usage, 3 a check failed, 4 plugin, 5 checkpoint, 6 data, 7 diverged,
    8 resources, 130 interrupted, 143 terminated.
    """


PURPOSES: dict[str, tuple[click.Command, ...]] = {
    "Train a model, and use it": (run, compare, evaluate_run, predict, sample, export),
    "Write a cell, and prove it": (new, check, gradcheck),
    "Look at cells": (inspect, diff, race, bench),
    "What there is": (cells, unrollers, tasks, plugins, doctor),
}
"""The commands, by what they are for."""

for _commands in PURPOSES.values():
    for _command in _commands:
        main.add_command(_command)
