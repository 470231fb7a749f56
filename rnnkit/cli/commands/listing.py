"""`rnnkit cells`, `rnnkit unrollers`, `rnnkit tasks`: what there is, and one of them in full."""

import inspect
import math
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from rnnkit.cli.options import complete_names
from rnnkit.cli.output import echo_wrapped, json_option, print_json, print_table
from rnnkit.cli.paragraphs import joined
from rnnkit.cli.streams import echo
from rnnkit.errors import UsageError, first_line

if TYPE_CHECKING:
    from rnnkit.plugin.cell_spec import CellChoice

SHOWN_INPUT, SHOWN_HIDDEN = 64, 128


def _listing(noun: str) -> click.Command:
    @click.command(
        f"{noun}s",
        help=f"List the {noun}s with their origin, or show the one called NAME in full.",
        short_help=f"List the {noun}s, or show one in full.",
    )
    @click.argument("name", required=False)
    @json_option
    def command(name: str | None, as_json: bool) -> None:
        if name is None:
            _list(noun, as_json)
        else:
            _show_one(noun, name, as_json)

    return command


@click.command(short_help="List the cells, or show one in full.")
@click.argument("name", required=False)
@click.option(
    "--explain",
    is_flag=True,
    allow_from_autoenv=False,
    help="Say how the unroller runs the cell instead.",
)
@click.option(
    "--unroller",
    metavar="NAME",
    shell_complete=complete_names("unroller"),
    help="Of --explain. [default: the one that auto takes]",
)
@click.option("--input-size", type=click.IntRange(min=1), help=f"Of --explain. [default: {SHOWN_INPUT}]")
@click.option("--hidden", type=click.IntRange(min=1), help=f"Of --explain. [default: {SHOWN_HIDDEN}]")
@json_option
def cells(
    name: str | None, explain: bool, unroller: str | None, input_size: int | None, hidden: int | None, as_json: bool
) -> None:
    """List the cells with their origin, show the one called NAME in full, or how an unroller runs it.

    NAME is a registered one, MODULE:CLASS such as my_package.cells:MyCell, or an expression such as
    'zoneout(gru, rate=0.1)'. With --json a cell's line has all that its page in the catalogue says.
    """
    given = {"--unroller": unroller, "--input-size": input_size, "--hidden": hidden}
    if explain:
        if name is None:
            raise UsageError("--explain needs the NAME of a cell, such as `rnnkit cells lstm --explain`")
        _explain(name, unroller or "auto", input_size or SHOWN_INPUT, hidden or SHOWN_HIDDEN, as_json)
        return
    for option, value in given.items():
        if value is not None:
            raise UsageError(f"{option} goes with --explain; add it, or leave {option} out")
    if name is None:
        _list("cell", as_json)
    else:
        _show_one("cell", name, as_json)


def _explain(name: str, unroller: str, input_size: int, hidden: int, as_json: bool) -> None:
    """Print what the unroller tells of a layer's cell; in a layer, since that is what makes the choice."""
    from rnnkit.layers.rnn import RNN
    from rnnkit.layers.unroller_report import passed_over

    layer = RNN(name, input_size, hidden, unroller=unroller)
    text = layer.unroller.explain(layer.equipped(0))
    others = passed_over(layer) if unroller == "auto" else {}
    told = {"passed_over": others} if others else {}
    if as_json:
        sizes = {"input_size": input_size, "hidden_size": hidden}
        print_json({"name": name, "unroller": str(layer.unroller), **sizes, "explanation": text, **told})
    else:
        echo_wrapped(f"cell {name}, D = {input_size}, H = {hidden}, unroller {layer.unroller}\n\n{text}")
        for other, why in others.items():
            echo_wrapped(f"auto passed over {other}: {why}")


def _list(noun: str, as_json: bool) -> None:
    from rnnkit.plugin import registry
    from rnnkit.plugin.cell_spec import CellChoice

    known: registry.Registry[Any] = getattr(registry, f"{noun}s")
    rows = [(name, summary(kind), known.origin(name)) for name, kind in known.items()]
    if as_json:
        for name, line, origin in rows:
            facts = _facts(CellChoice(known[name])) if noun == "cell" else {}
            print_json({"name": name, "summary": line, "origin": origin, **facts})
    else:
        print_table([noun, "what it is", "from"], rows)


def _show_one(noun: str, name: str, as_json: bool) -> None:
    """Show what a name, MODULE:CLASS or, of a cell, an expression stands for."""
    from rnnkit.plugin import registry
    from rnnkit.plugin.cell_spec import CellChoice, choose
    from rnnkit.plugin.resolve import resolve
    from rnnkit.testing import base_of

    known: registry.Registry[Any] = getattr(registry, f"{noun}s")
    choice = choose(name) if noun == "cell" else CellChoice(resolve(name, base_of(noun), known, noun))
    kind = choice.kind
    registered = kind.name in known and known[kind.name] is kind
    _show(noun, choice, known.origin(kind.name) if registered else f"{kind.__module__}:{kind.__qualname__}", as_json)


def _facts(choice: "CellChoice") -> dict[str, Any]:
    """Return what the catalogue's page of a cell says; of one that cannot be built, the reason."""
    from rnnkit.inspection.card import card_of

    build = partial(choice.build, options={}) if choice.options else None
    try:
        return card_of(choice.kind, build).facts()
    except Exception as error:  # of a stranger's constructor or step
        return {"error": first_line(error)}


def summary(kind: type) -> str:
    """Return the first line of a class's docstring."""
    return inspect.cleandoc(kind.__doc__ or "no description").splitlines()[0]


def _show(noun: str, choice: "CellChoice", origin: str, as_json: bool) -> None:
    """Print the module's docstring (a cell's has the equation and the paper), options and parameters."""
    from rnnkit.plugin.constructor_options import constructor_options, without_arguments

    kind = choice.kind
    module = inspect.getdoc(sys.modules[kind.__module__]) or ""
    text = inspect.getdoc(kind) or ""
    options = constructor_options(kind)
    shapes = _parameters(choice) if noun == "cell" else {}
    if as_json:
        shown: dict[str, Any] = {
            "name": kind.name,
            "origin": origin,
            "description": f"{module}\n\n{text}".strip(),
            "options": [option._asdict() for option in options],
        }
        if noun == "cell":
            shown |= {"parameters": {k: list(v) for k, v in shapes.items()}, **_facts(choice)}
        print_json(shown)
        return
    echo_wrapped(f"{noun} {kind.name} ({origin})\n\n{joined(module)}\n\n{joined(without_arguments(text))}")
    echo_wrapped(f"\nOptions, by --set {noun}.OPTION=VALUE:" if options else "\nOptions: none")
    for option in options:  # not a table, which a narrow terminal has no room for
        echo_wrapped(f"    {option}")
    if shapes:
        count = sum(math.prod(shape) for shape in shapes.values())
        echo_wrapped(f"\nParameters for D = {SHOWN_INPUT}, H = {SHOWN_HIDDEN}: {count:,}")
        rows = [(name, str(tuple(shape))) for name, shape in shapes.items()]
        print_table(["parameter", "shape"], rows, keep=["shape"])
    elif noun == "cell":
        echo("\nParameters: none")


def _parameters(choice: "CellChoice") -> dict[str, tuple[int, ...]]:
    from rnnkit.core.cell import building

    with building("meta", None):
        cell = choice.build(SHOWN_INPUT, SHOWN_HIDDEN, {})
    return {name: tuple(parameter.shape) for name, parameter in cell.named_parameters()}


unrollers, tasks = _listing("unroller"), _listing("task")
