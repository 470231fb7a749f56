"""`rnnkit check`: the conformance kit."""

from contextlib import suppress
from typing import Any

import click

from rnnkit.cli.blame import blamed
from rnnkit.cli.options import set_option
from rnnkit.cli.output import echo_wrapped, json_option, print_json
from rnnkit.cli.streams import echo
from rnnkit.errors import CheckError, PluginError, UnknownNameError, UsageError, nearest
from rnnkit.plugin.key_value import by_table

KINDS = ("cell", "unroller", "task")


@click.command(short_help="Test every promise of a cell, unroller or task.")
@click.argument("subject", metavar="NAME|MODULE:CLASS")
@click.option(
    "--batch", "batch_size", type=click.IntRange(min=1), help="Rows at which a cell is checked.  [default: 3]"
)
@click.option("--input", "input_size", type=click.IntRange(min=1), help="Its input size.  [default: 4]")
@click.option("--hidden", "hidden_size", type=click.IntRange(min=1), help="Its hidden size.  [default: 5]")
@set_option(*KINDS)
@json_option
def check(subject: str, assignments: tuple[str, ...], as_json: bool, **sizes: int | None) -> None:
    """Test every promise of a cell, unroller or task, one sentence for each that is broken.

    NAME is a registered one, or an expression such as 'zoneout(gru)'; MODULE:CLASS (such as my_package.cells:MyCell)
    need not be. Gradients are held to differences at small sizes of their own; see gradcheck. Exit 3 if a promise is
    broken.
    """
    from rnnkit.testing import inspect_any, noun_of

    tables = by_table(assignments, KINDS)
    kind, given = _found(subject)
    noun = noun_of(kind, subject)
    options = {**given, **tables.pop(noun)}
    if any(tables.values()):
        raise UsageError(f"{subject} is a {noun}; its options are set with --set {noun}.KEY=VALUE")
    if noun == "cell" and options:
        _refuse(kind, options)
    result = inspect_any(kind, {name: size for name, size in sizes.items() if size is not None}, **options)
    if as_json:
        facts = {"subject": result.subject, "ok": result.ok, "promises": result.promises, "notes": list(result.notes)}
        if result.certificate is not None:
            facts["certificate"] = result.certificate._asdict()
        print_json(facts)
    else:
        echo(result.subject)
        for promise, sentences in result.promises.items():
            echo(f"  {'broken' if sentences else 'ok':8}{promise}")
            for sentence in sentences:
                echo_wrapped(f"          {sentence.removeprefix(result.subject + ': ')}")
        for note in result.notes:
            echo_wrapped(f"  {note}")
    if result.raised is not None and (line := blamed(result.raised)):
        raise PluginError(line) from result.raised
    if not result.ok:
        first = result.failures[0].removeprefix(f"{result.subject}: ")
        raise CheckError(f"{result.subject} breaks {result.broken} of its promises: {first}", result.failures)


def _refuse(kind: Any, options: dict[str, Any]) -> None:
    """Raise UsageError if the cell cannot be built with the options: then they are at fault, and not the cell."""
    from rnnkit.core.cell import building
    from rnnkit.plugin.cell_spec import CellChoice

    with building("meta", None), suppress(PluginError):  # of that, the check itself says what it is
        CellChoice(kind).build(8, 8, options)


def _found(name: str) -> tuple[Any, dict[str, Any]]:
    """Return what a name, an expression or MODULE:CLASS stands for: a class, and options that are given with it."""
    from rnnkit.plugin.cell_spec import choose
    from rnnkit.plugin.class_import import imported, is_path
    from rnnkit.plugin.class_path import remedy
    from rnnkit.plugin.registry import cells, tasks, unrollers

    if "(" in name:
        choice = choose(name)
        return choice.kind, dict(choice.options)
    if is_path(name):
        return imported(name), {}
    for registry in (cells, unrollers, tasks):
        try:
            return registry[name], {}
        except UnknownNameError:
            continue
    told = remedy(name)
    known = [*cells, *unrollers, *tasks]
    raise UnknownNameError(f"unknown cell, unroller or task {name!r}{f'; {told}' if told else nearest(name, known)}")
