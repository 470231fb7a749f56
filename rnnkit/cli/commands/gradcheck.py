"""`rnnkit gradcheck`: every gradient against finite differences."""

import inspect
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from rnnkit.cli.blame import blamed
from rnnkit.cli.options import cell_option, set_option, unroller_option
from rnnkit.cli.output import echo_wrapped, json_option, print_table
from rnnkit.cli.streams import echo
from rnnkit.errors import CheckError, PluginError, UsageError
from rnnkit.plugin.key_value import by_table

if TYPE_CHECKING:
    from rnnkit.core.cell import Cell
    from rnnkit.core.unroller import Unroller
    from rnnkit.testing.gradient_report import GradientReport


class Case(NamedTuple):
    """One check."""

    cell: str
    unroller: str
    order: int


class Options(NamedTuple):
    """What `rnnkit gradcheck` takes."""

    cell: str
    unroller: str
    order: int
    matrix: bool
    steps: int
    batch: int
    input_size: int
    hidden: int
    seed: int
    assignments: tuple[str, ...]
    as_json: bool


@click.command(short_help="Prove the gradients against finite differences.")
@cell_option
@unroller_option("loop")
@click.option("--order", type=click.IntRange(1, 2), default=1, show_default=True, help="1: gradients; 2: of gradients.")
@click.option("--matrix", is_flag=True, help="Check every cell through every unroller, orders 1 and 2.")
@click.option("--steps", type=click.IntRange(min=1), default=5, show_default=True, help="Length of the sequence.")
@click.option("--batch", type=click.IntRange(min=1), default=2, show_default=True, help="Rows.")
@click.option(
    "--input",
    "input_size",
    envvar="RNNKIT_GRADCHECK_INPUT",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Input size.",
)
@click.option("--hidden", type=click.IntRange(min=1), default=4, show_default=True, help="Hidden size.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Of weights and input.")
@set_option("cell", "unroller")
@json_option
def gradcheck(**words: Any) -> None:
    """Prove the gradients: autograd against central differences in float64, a row for each tensor.

    The input, each initial state by name and each parameter are perturbed element by element, through any unroller.
    Exit 3 if a gradient is wrong, naming tensor and index.
    """
    options = Options(**words)
    own = by_table(options.assignments, ("cell", "unroller"))
    failures: list[str] = []
    for case in _cases(options):
        report = _checked(case, options, own)
        failures += [f"{case.cell} x {report.unroller}, order {case.order}: {failure}" for failure in report.failures]
        if options.as_json:
            echo(report.to_json())
        elif options.matrix:
            _print_line(report)
        else:
            _print_report(case.cell, report)
        if report.raised is not None and not options.matrix and (line := blamed(report.raised)):
            raise PluginError(line) from report.raised
    if failures:
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        raise CheckError(f"{failures[0]}{more}", failures)


def _cases(options: Options) -> list[Case]:
    """Return what is checked: one case, or every cell through every unroller in both orders."""
    from rnnkit.plugin.registry import cells, unrollers

    if not options.matrix:
        return [Case(options.cell, options.unroller, options.order)]
    if options.assignments:
        raise UsageError("--matrix checks every cell and unroller with its defaults; leave out --set")
    taken = [(c, u) for c, cell in cells.items() for u, kind in unrollers.items() if _takes(kind, cell)]
    return [Case(cell, unroller, order) for cell, unroller in taken for order in (1, 2)]


def _takes(unroller: "type[Unroller]", cell: "type[Cell]") -> bool:
    """Tell whether an unroller runs a cell at all; what the cell raises, its own check says."""
    if unroller.takes_all_cells:
        return True
    try:
        return unroller().applies(cell(2, 2))
    except Exception:
        return True


def _checked(case: Case, options: Options, own: dict[str, dict[str, Any]]) -> "GradientReport":
    """Check one case; `own` are the options of the cell's and the unroller's own."""
    from rnnkit.plugin.cell_spec import choose
    from rnnkit.runs.settings import Settings
    from rnnkit.testing.gradcheck import gradcheck as check

    choose(case.cell).accepted(own["cell"])
    for option in own["cell"].keys() & inspect.signature(check).parameters.keys():
        raise UsageError(f"--set cell.{option}: a word of gradcheck's own; build the cell in Python and check that")
    through = Settings(unroller=case.unroller, unroller_options=own["unroller"]).make_unroller()
    return check(
        case.cell,
        through,
        case.order,
        steps=options.steps,
        batch_size=options.batch,
        input_size=options.input_size,
        hidden_size=options.hidden,
        seed=options.seed,
        **own["cell"],
    )


def _print_report(cell: str, report: "GradientReport") -> None:
    echo_wrapped(f"cell {cell}, unroller {report.unroller}, order {report.order}, float64\n")
    rows = [
        (
            row.tensor,
            str(row.shape),
            f"{row.gradient_norm:.6g}",
            f"{row.absolute_error:.1e}",
            f"{row.relative_error:.1e}",
            "ok" if row.ok else f"wrong at {list(row.index)}",
        )
        for row in report.rows
    ]
    headings = ["tensor", "shape", "gradient norm", "worst abs", "worst rel", "verdict"]
    print_table(headings, rows, right=headings[2:5], less=["worst abs", "gradient norm", "shape", "worst rel"])
    for note in report.notes:
        echo_wrapped(note)
    if report.ok and not report.notes:
        echo_wrapped(f"all {len(rows)} gradients agree with central differences")


def _print_line(report: "GradientReport") -> None:
    worst = max((row.relative_error for row in report.rows), default=float("nan"))
    verdict = "ok" if report.ok else "WRONG"
    echo_wrapped(f"{report.cell:12} {report.unroller:12} order {report.order}  worst rel {worst:.1e}  {verdict}")
