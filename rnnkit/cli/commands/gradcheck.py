"""`rnnkit gradcheck`: every gradient against finite differences."""

import inspect
from typing import TYPE_CHECKING, Any

import click

from rnnkit.cli.blame import blamed
from rnnkit.cli.options import cell_option, set_option, unroller_option
from rnnkit.cli.output import json_option, print_table
from rnnkit.cli.streams import echo
from rnnkit.errors import CheckError, PluginError, UsageError
from rnnkit.plugin.assignment import by_table

if TYPE_CHECKING:
    from rnnkit.testing.gradient_report import GradientReport


@click.command()
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
def gradcheck(
    cell: str,
    unroller: str,
    order: int,
    matrix: bool,
    steps: int,
    batch: int,
    input_size: int,
    hidden: int,
    seed: int,
    assignments: tuple[str, ...],
    as_json: bool,
) -> None:
    """Prove the gradients: autograd against central differences in float64, a row for each tensor.

    The input, each initial state by name and each parameter are perturbed element by element, through any unroller.
    Exit 3 if a gradient is wrong, naming tensor and index.
    """
    from rnnkit.plugin.cell_spec import choose
    from rnnkit.plugin.registry import cells, unrollers
    from rnnkit.runs.settings import Settings
    from rnnkit.testing.gradcheck import gradcheck as check

    options = by_table(assignments, ("cell", "unroller"))
    sizes: dict[str, Any] = {
        "steps": steps,
        "batch_size": batch,
        "input_size": input_size,
        "hidden_size": hidden,
        "seed": seed,
    }
    if matrix:
        if assignments:
            raise UsageError("--matrix checks every cell and unroller with its defaults; leave out --set")
        cases = [(c, u, k) for c in cells for u in unrollers for k in (1, 2)]
    else:
        cases = [(cell, unroller, order)]
    failures: list[str] = []
    for name, through, k in cases:
        choose(name).accepted(options["cell"])
        for option in options["cell"].keys() & inspect.signature(check).parameters.keys():
            raise UsageError(f"--set cell.{option}: a word of gradcheck's own; build the cell in Python and check that")
        how = Settings(unroller=through, unroller_options=options["unroller"]).make_unroller()
        report = check(name, how, k, **sizes, **options["cell"])
        failures += [f"{name} x {report.unroller}, order {k}: {failure}" for failure in report.failures]
        if as_json:
            echo(report.to_json())
        elif matrix:
            _print_line(report)
        else:
            _print_report(name, report)
        if report.raised is not None and not matrix and (line := blamed(report.raised)):
            raise PluginError(line) from report.raised
    if failures:
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        raise CheckError(f"{failures[0]}{more}", failures)


def _print_report(cell: str, report: "GradientReport") -> None:
    echo(f"cell {cell}, unroller {report.unroller}, order {report.order}, float64\n")
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
        echo(note)
    if report.ok and not report.notes:
        echo(f"all {len(rows)} gradients agree with central differences")


def _print_line(report: "GradientReport") -> None:
    worst = max((row.relative_error for row in report.rows), default=float("nan"))
    verdict = "ok" if report.ok else "WRONG"
    echo(f"{report.cell:12} {report.unroller:12} order {report.order}  worst rel {worst:.1e}  {verdict}")
