"""`rnnkit gradcheck`: every gradient against finite differences."""

import inspect
import os
import time
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from rnnkit.cli.blame import blamed
from rnnkit.cli.name_lists import Names
from rnnkit.cli.options import complete_names, device_option, set_option
from rnnkit.cli.output import echo_wrapped, json_option, print_table
from rnnkit.cli.signals import ending_with, patience
from rnnkit.cli.streams import echo
from rnnkit.errors import CheckError, PluginError, ResourceError, UsageError
from rnnkit.plugin.key_value import by_table
from rnnkit.runs.setting_fields import CELL_HELP

if TYPE_CHECKING:
    from rnnkit.matrix.case import Case
    from rnnkit.matrix.course import Course
    from rnnkit.matrix.folder import MatrixFolder
    from rnnkit.testing.gradient_report import GradientReport


class Options(NamedTuple):
    """What `rnnkit gradcheck` takes."""

    cells: tuple[str, ...]
    unrollers: tuple[str, ...]
    order: int | None
    matrix: bool
    cases: tuple[str, ...]
    jobs: int | None
    out: Path | None
    steps: int | None
    batch: int | None
    input_size: int | None
    hidden: int | None
    seed: int
    device: str
    assignments: tuple[str, ...]
    as_json: bool
    quiet: bool


SIZES = {"steps": 5, "batch": 2, "input_size": 3, "hidden": 4}
"""Of one check, where nothing else is said; the matrix has sizes of its own."""


@click.command(short_help="Prove the gradients against finite differences.")
@click.option(
    "--cell",
    "cells",
    envvar="RNNKIT_GRADCHECK_CELL",
    multiple=True,
    type=Names("cells", "lstm,gru"),
    metavar="NAME|MODULE:CLASS",
    shell_complete=complete_names("cell"),
    help=f"{CELL_HELP}; several for the matrix. [default: lstm; of the matrix: all]",
)
@click.option(
    "--unroller",
    "unrollers",
    envvar="RNNKIT_GRADCHECK_UNROLLER",
    multiple=True,
    type=Names("unrollers", "loop,checkpoint"),
    metavar="NAME",
    shell_complete=complete_names("unroller"),
    help="How the steps are differentiated; several for the matrix. [default: loop; of the matrix: all]",
)
@click.option(
    "--order", type=click.IntRange(1, 2), help="1: gradients; 2: of gradients. [default: 1; of the matrix: all]"
)
@click.option(
    "--matrix",
    is_flag=True,
    help="Check every cell through every unroller in every layout and direction, both orders and more.",
)
@click.option(
    "--case",
    "cases",
    multiple=True,
    allow_from_autoenv=False,
    metavar="CASE",
    help="Check one case of the matrix; may be repeated.",
)
@click.option("--jobs", type=click.IntRange(min=0), help="Processes of the matrix; 0: this one. [default: one a core]")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Records and certificate of the matrix; what is recorded there is not checked again. "
    "[default: runs/gradcheck-TIME]",
)
@click.option("--steps", type=click.IntRange(min=1), help="Length of the sequence. [default: 5]")
@click.option("--batch", type=click.IntRange(min=1), help="Rows. [default: 2]")
@click.option(
    "--input",
    "input_size",
    envvar="RNNKIT_GRADCHECK_INPUT",
    type=click.IntRange(min=1),
    help="Input size. [default: 3]",
)
@click.option("--hidden", type=click.IntRange(min=1), help="Hidden size. [default: 4]")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Of weights and input.")
@device_option("Where to compute, in float64; the matrix is computed on the CPU.", "cpu")
@set_option("cell", "unroller")
@json_option
@click.option("--quiet", is_flag=True, help="Show no progress.")
def gradcheck(**words: Any) -> None:
    """Prove the gradients: autograd against central differences in float64, a row for each tensor.

    The input, each initial state by name and each parameter are perturbed element by element, through any unroller.
    Exit 3 if a gradient is wrong, naming tensor and index.

    --matrix does so for every cell through every unroller, in six layouts (time-major, batch-first, unbatched, lengths,
    packed, reset) and one or both directions: outputs, states and gradients, gradients of gradients, torch.func.vmap,
    forward mode, and float32 against float64. What an unroller declares not to do is counted, with its reason.
    After Ctrl-C the same --out goes on. --cell "zoneout(norm(peephole)),gru" and --unroller choose.
    """
    words["cells"] = tuple(name for names in words["cells"] for name in names)
    words["unrollers"] = tuple(name for names in words["unrollers"] for name in names)
    options = Options(**words)
    if options.matrix or options.cases:
        _check_matrix(options)
    else:
        _check_one(options)


def _check_one(options: Options) -> None:
    """Check one cell through one unroller, and print a row for each tensor."""
    for label, given in (("cell", options.cells), ("unroller", options.unrollers)):
        if len(given) > 1:
            raise UsageError(f"--{label} names {len(given)} {label}s; name one, or check them all with --matrix")
    for label, value in (("--jobs", options.jobs), ("--out", options.out)):
        if value is not None:
            raise UsageError(f"{label} goes with --matrix; leave it out")
    cell, unroller = (*options.cells, "lstm")[0], (*options.unrollers, "loop")[0]
    report = _checked(cell, unroller, options, by_table(options.assignments, ("cell", "unroller")))
    if options.as_json:
        echo(report.to_json())
    else:
        _print_report(cell, report)
    if report.raised is not None and (line := blamed(report.raised)):
        raise PluginError(line) from report.raised
    if failures := [f"{cell} x {report.unroller}, order {report.order}: {failure}" for failure in report.failures]:
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        raise CheckError(f"{failures[0]}{more}", failures)


def _check_matrix(options: Options) -> None:
    """Check the matrix, or what is asked for of it, and go on with what is recorded."""
    from rnnkit.cli.matrix_report import report
    from rnnkit.matrix.course import Course, check_names

    if options.device != "cpu":
        raise UsageError(
            f"--device {options.device}: the matrix is computed on the CPU; leave it out, or check one cell"
        )
    if options.assignments:
        raise UsageError("--matrix checks every cell and unroller with its defaults; leave out --set")
    for name, given in zip(SIZES, (options.steps, options.batch, options.input_size, options.hidden), strict=True):
        if given is not None:
            label = name.removesuffix("_size")
            raise UsageError(f"--{label}: the matrix has sizes of its own; leave it out, or check one cell")
    cases = _cases(options)
    check_names(cases)
    with _folder(options) as folder:
        course = Course(cases, options.seed, folder)
        jobs = options.jobs if options.jobs is not None else 0 if options.cases else os.cpu_count() or 1
        _examine(course, jobs, options)
        report(course, options.as_json)


def _cases(options: Options) -> "list[Case]":
    """Return the cases that are asked for, by their names, or by those of cells, unrollers and orders."""
    from rnnkit.matrix.case import CHECKS, Case, product_of
    from rnnkit.plugin.registry import cells, unrollers

    if options.cases:
        if options.cells or options.unrollers or options.order or options.matrix:
            raise UsageError("--case names cell, unroller and check itself; leave out --matrix and what chooses of it")
        return [Case.read(text) for text in options.cases]
    checks = CHECKS if options.order is None else (CHECKS[options.order - 1],)
    return list(product_of(options.cells or tuple(cells), options.unrollers or tuple(unrollers), checks))


def _folder(options: Options) -> "AbstractContextManager[MatrixFolder | None]":
    """Return the folder of the matrix; single cases need none."""
    from rnnkit.matrix.folder import MatrixFolder
    from rnnkit.support.paths import free_path

    if options.out is None and options.cases:
        return nullcontext()
    return MatrixFolder(options.out or free_path(Path("runs") / f"gradcheck-{time.strftime('%Y%m%d-%H%M%S')}"))


def _examine(course: "Course", jobs: int, options: Options) -> None:
    """Examine to the end, or until a signal asks to stop; what is wrong is told as it comes."""
    from rnnkit.cli.matrix_progress import shown
    from rnnkit.cli.matrix_report import tell_record

    remedy = f"go on with the same line and --out {course.folder.path}" if course.folder else "begin again"
    with (
        patience() as ending,
        closing(course.run(jobs)) as records,
        closing(shown(records, course, options.quiet or options.as_json)) as watched,
    ):
        try:
            for record in watched:
                if record is not None:
                    tell_record(record, course.seed, options.as_json)
                if ending:
                    raise ending_with(ending[0].code, remedy)
        except ResourceError as error:
            raise ResourceError(f"{error}; {remedy}") from None


def _checked(cell: str, unroller: str, options: Options, own: dict[str, dict[str, Any]]) -> "GradientReport":
    """Check a cell through an unroller; `own` are the options of their own."""
    from rnnkit.plugin.cell_spec import choose
    from rnnkit.runs.settings import Settings, usable_device
    from rnnkit.testing.gradcheck import gradcheck as check

    choose(cell).accepted(own["cell"])
    for option in own["cell"].keys() & inspect.signature(check).parameters.keys():
        raise UsageError(f"--set cell.{option}: a word of gradcheck's own; build the cell in Python and check that")
    through = Settings(unroller=unroller, unroller_options=own["unroller"]).make_unroller()
    sizes = {name: value if (value := getattr(options, name)) is not None else SIZES[name] for name in SIZES}
    return check(
        cell,
        through,
        options.order or 1,
        steps=sizes["steps"],
        batch_size=sizes["batch"],
        input_size=sizes["input_size"],
        hidden_size=sizes["hidden"],
        seed=options.seed,
        device=usable_device(options.device),
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
