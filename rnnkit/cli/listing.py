"""`rnnkit cells`, `rnnkit unrollers`, `rnnkit tasks`: what there is, and one of them in full."""

import inspect
import math
import sys
from typing import Any

import click

from rnnkit.cli.output import json_option, print_json, print_table

SHOWN_INPUT, SHOWN_HIDDEN = 64, 128


def _listing(noun: str) -> click.Command:
    @click.command(f"{noun}s", help=f"List the {noun}s with their origin, or show the one called NAME in full.")
    @click.argument("name", required=False)
    @json_option
    def command(name: str | None, as_json: bool) -> None:
        from rnnkit import registry

        known: registry.Registry[Any] = getattr(registry, f"{noun}s")
        if name is not None:
            kind, options = (known[name], {}) if noun != "cell" else _chosen(name)
            _show(noun, kind, known.origin(kind.name), options, as_json)
            return
        rows = [(n, summary(kind), known.origin(n)) for n, kind in known.items()]
        if as_json:
            for n, line, origin in rows:
                print_json({"name": n, "summary": line, "origin": origin})
        else:
            print_table([noun, "what it is", "from"], rows)

    return command


def _chosen(name: str) -> tuple[Any, dict[str, Any]]:
    from rnnkit.choice import choose

    choice = choose(name)
    return choice.kind, choice.accepted({})


def summary(kind: type) -> str:
    """Give the first line of a class's docstring."""
    return inspect.cleandoc(kind.__doc__ or "no description").splitlines()[0]


def _show(noun: str, kind: Any, origin: str, given: dict[str, Any], as_json: bool) -> None:
    """Print the module's docstring (a cell's has the equation and the paper), options and parameters."""
    from rnnkit.resolve import option_names

    module = inspect.getdoc(sys.modules[kind.__module__]) or ""
    text = inspect.getdoc(kind) or ""
    options = option_names(kind)[0]
    shapes = _parameters(kind, given) if noun == "cell" else {}
    if as_json:
        shown = {
            "name": kind.name,
            "origin": origin,
            "description": f"{module}\n\n{text}".strip(),
            "options": options,
        }
        print_json({**shown, "parameters": {k: list(v) for k, v in shapes.items()}} if noun == "cell" else shown)
        return
    click.echo(f"{noun} {kind.name} ({origin})\n\n{module}\n\n{text}")
    click.echo(f"\nOptions: {', '.join(options) or 'none'}")
    if shapes:
        count = sum(math.prod(shape) for shape in shapes.values())
        click.echo(f"\nParameters for D = {SHOWN_INPUT}, H = {SHOWN_HIDDEN}: {count:,}")
        print_table(["parameter", "shape"], [(name, str(tuple(shape))) for name, shape in shapes.items()])


def _parameters(kind: Any, options: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    from rnnkit.cell import building

    with building("meta", None):
        cell = kind(SHOWN_INPUT, SHOWN_HIDDEN, **options)
    return {name: tuple(parameter.shape) for name, parameter in cell.named_parameters()}


cells, unrollers, tasks = _listing("cell"), _listing("unroller"), _listing("task")
