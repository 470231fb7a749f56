"""`rnnkit new`: begin a plugin."""

import shlex
from pathlib import Path

import click

from rnnkit.cli.output import json_option, print_json
from rnnkit.cli.streams import echo
from rnnkit.errors import UsageError


def _plugin(context: click.Context, parameter: click.Parameter, kind: str) -> str:
    """Refuse what is no plugin: nothing else is begun so far."""
    if kind != "plugin":
        raise UsageError(f"{kind!r} is nothing that can be begun; write rnnkit new plugin NAME")
    return kind


@click.command(short_help="Begin a plugin: a distribution with a cell, its tests and all.")
@click.argument("kind", metavar="plugin", callback=_plugin)
@click.argument("name")
@click.option("--cell", metavar="NAME", help="What the cell is called.  [default: as the distribution]")
@click.option(
    "--out",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder, which must not be there yet.  [default: rnnkit-NAME]",
)
@json_option
def new(kind: str, name: str, cell: str | None, folder: Path | None, as_json: bool) -> None:
    """Begin a plugin: write the distribution rnnkit-NAME, whose cell works, trains and passes its tests as it is.

    FILL IN marks where your equation goes: in the cell, its test and its README. Names that something installed has are
    refused, and no folder is written over.
    """
    from rnnkit.plugin.new_plugin import name_plugin, write_plugin

    plugin = name_plugin(name, cell)
    folder = Path(plugin.distribution) if folder is None else folder
    written = [str(folder / path) for path in write_plugin(plugin, folder)]
    if as_json:
        names = {"distribution": plugin.distribution, "module": plugin.module, "class": plugin.cell_class}
        print_json({**names, "cell": plugin.cell, "folder": str(folder), "files": written})
        return
    for path in written:
        echo(path)
    echo("\nnext:")
    for line in (f"cd {shlex.quote(str(folder))} && pip install -e .", "pytest", f"rnnkit run --cell {plugin.cell}"):
        echo(f"  {line}")
