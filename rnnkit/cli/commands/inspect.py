"""`rnnkit inspect`: what a cell, or the model of a run, does."""

import json
import os
import re
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from rnnkit.cli.options import complete_names, device_option, set_option
from rnnkit.cli.output import echo_wrapped, json_option, print_json, print_table
from rnnkit.cli.question_progress import shown
from rnnkit.cli.streams import echo
from rnnkit.errors import ResourceError, RnnkitError, UsageError
from rnnkit.plugin.key_value import by_table
from rnnkit.support.own_files import check_not_own
from rnnkit.support.paths import file_word

if TYPE_CHECKING:
    from rnnkit.core.task import Batch, Task
    from rnnkit.inspection.overview import Target
    from rnnkit.inspection.result import Inspection

PAGE, NUMBERS = "index.html", "inspection.json"
OF_A_RUN, OF_A_CELL = ("text", "best"), ("steps", "hidden", "input_size", "assignments")
SPELT = {"input_size": "--input", "assignments": "--set"}
"""Options that are called otherwise here than on the command line."""


class Options(NamedTuple):
    """What `rnnkit inspect` takes."""

    folder: Path | None
    cell: str | None
    text: str | None
    best: bool
    device: str | None
    steps: int | None
    batch: int
    hidden: int | None
    input_size: int | None
    seed: int
    assignments: tuple[str, ...]
    only: str | None
    out: Path | None
    as_json: bool
    quiet: bool


class Subject(NamedTuple):
    """What is inspected."""

    target: "Target"
    title: str
    facts: dict[str, str]


@click.command(short_help="Show what a run's model, or a new cell, does.")
@click.argument("folder", metavar="[RUN]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--cell",
    metavar="NAME|MODULE:CLASS",
    shell_complete=complete_names("cell"),
    help="A new cell, in place of a run: a name, an expression, or a class of your own.",
)
@click.option("--text", help="Of a run that writes text: look at this text. [default: a batch of the task]")
@click.option("--best", is_flag=True, help="Of a run: as it was at its best validation, not at its end.")
@device_option("Where to compute. [default: where a run was trained; of a cell, cpu]")
@click.option("--steps", type=click.IntRange(min=2), help="Of a cell: time steps. [default: 64]")
@click.option("--batch", type=click.IntRange(min=1), default=8, show_default=True, help="Rows.")
@click.option("--hidden", type=click.IntRange(min=1), help="Of a cell: hidden size. [default: 32]")
@click.option(
    "--input",
    "input_size",
    envvar="RNNKIT_INSPECT_INPUT",
    type=click.IntRange(min=1),
    help="Of a cell: input size. [default: 8]",
)
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Of weights and data.")
@set_option("cell")
@click.option("--only", metavar="NAME,...", help="Of the questions above, these alone.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder. [default: RUN/inspection, or inspection-CELL]")
@json_option
@click.option("--quiet", is_flag=True, help="Show no progress.")
def inspect(**words: Any) -> None:
    """Show what the model of a run, or a new cell, does: gradients, Jacobians, gates and memory.

    \b
    flow        how much of a gradient is left after so many steps back
    jacobian    by how much a step stretches and shrinks a difference of states
    gates       how open gates are, and which are stuck
    memory      how many steps of context the outputs need
    truncation  how near the gradient of truncated BPTT is to the whole one
    saliency    which inputs the last output depends on
    exploding   the steps at which the gradient grows
    lyapunov    whether two near states move apart
    trajectory  the way of the state, in its main directions

    The folder gets index.html (a page that stands alone), a picture of each as .svg and .png, and inspection.json. Of a
    run that was trained with --inspect-every the page shows gradient flow and gates over the training too.
    """
    options = Options(**words)
    _check(options)
    subject = _run(options, options.folder) if options.folder is not None else _cell(options)
    out = _free_folder(options)
    inspections, remarks = _answers(subject.target, options)
    if options.folder is not None:
        inspections += _over_training(options.folder, subject.title)
    _write(out, subject, inspections, remarks)
    _report(out, inspections, remarks, options.as_json)


def _check(options: Options) -> None:
    """Refuse options that say nothing of what is inspected."""
    from rnnkit.inspection.overview import names_of

    if (options.folder is None) == (options.cell is None):
        raise UsageError("give either the folder of a run, or --cell NAME for a new cell")
    others, whose = (OF_A_RUN, "a run") if options.folder is None else (OF_A_CELL, "a new cell")
    for name in others:
        if getattr(options, name):
            raise UsageError(f"{SPELT.get(name, f'--{name}')} is for {whose}; leave it out")
    names_of(_words(options.only))


def _words(text: str | None) -> list[str]:
    words = [word.strip() for word in (text or "").split(",") if word.strip()]
    if text is not None and not words:
        raise UsageError("--only names no question; name some, or leave it out for all")
    return words


def _cell(options: Options) -> Subject:
    """Return a new cell, built where it is looked at."""
    from rnnkit.core.cell import building
    from rnnkit.inspection.overview import Target
    from rnnkit.plugin.cell_spec import choose
    from rnnkit.runs.settings import usable_device

    assert options.cell is not None
    sizes = {"input_size": options.input_size or 8, "hidden_size": options.hidden or 32}
    drawn = {"steps": options.steps or 64, "batch_size": options.batch, "seed": options.seed}
    own = by_table(options.assignments, ("cell",))["cell"]
    choice = choose(options.cell)
    choice.accepted(own)
    where = {} if options.device is None else {"device": usable_device(options.device)}
    with building("meta", None):
        choice.build(
            sizes["input_size"], sizes["hidden_size"], own
        )  # so that what cannot be built is refused before anything is asked
    facts = {
        "cell": f"{options.cell}, new, input size {sizes['input_size']}, hidden size {sizes['hidden_size']}",
        "inputs": f"standard normal, {drawn['steps']} steps of {drawn['batch_size']} rows, seed {options.seed}",
    }
    return Subject(Target(options.cell, drawn=drawn, options={**sizes, **where, **own}), options.cell, facts)


def _run(options: Options, folder: Path) -> Subject:
    """Return the model of a run, and a batch of its task or the text that was given."""
    import torch

    from rnnkit.inspection.overview import Target
    from rnnkit.runs.data_copies import check_files
    from rnnkit.runs.data_record import check_data
    from rnnkit.runs.folder import open_run

    settings, task, model = open_run(folder, best=options.best, device=options.device)
    if options.text is None:
        check_data(folder, settings, task)
        batch = task.batch(options.batch, torch.Generator().manual_seed(options.seed))
        data = f"a batch of task {settings.task}, {batch.xs.shape[0]} steps of {batch.xs.shape[1]} rows"
    else:
        check_files(folder, settings)
        batch, data = _text(task, options.text, settings.task), f"the text {options.text[:60]!r}"
    facts = {
        "run": f"{folder}, {'at its best validation' if options.best else 'at its end'}",
        "model": f"{settings.cell}, hidden size {settings.hidden}, layers {settings.layers}",
        "inputs": data,
    }
    target = Target(model, task, batch, {"seed": options.seed})
    return Subject(target, f"{settings.cell} on {settings.task}", facts)


def _text(task: "Task", text: str, name: str) -> "Batch":
    """Return a text as a batch of one row, in which each symbol is to be told from those before it."""
    from rnnkit.core.task import Batch

    try:
        symbols = task.prompt(text)
    except RnnkitError as error:
        raise type(error)(f"--text cannot be read: {error}") from None
    if symbols is None:
        raise UsageError(f"--text is for runs that write text; task {name!r} has none, so leave it out")
    if len(symbols) < 3:
        raise UsageError(
            f"--text {text!r} is too short; give at least three characters, or words where the run reads words"
        )
    return Batch(symbols[:-1, None], symbols[1:, None])


def _free_folder(options: Options) -> Path:
    """Return where the page goes; what an earlier inspection left there is written over, and nothing else."""
    own = (
        options.folder / "inspection"
        if options.folder is not None
        else Path(f"inspection-{file_word(options.cell or '')}")
    )
    if options.out is not None:
        check_not_own(options.out, "--out")
    out = options.out or own
    try:
        taken = os.path.lexists(out) and not (out / NUMBERS).exists() and (not out.is_dir() or any(out.iterdir()))
    except OSError as error:
        raise ResourceError(f"{out} cannot be read: {error.strerror}") from None
    if taken:
        raise UsageError(f"{out} exists already, and is no inspection; give another folder with --out")
    return out


def _answers(target: "Target", options: Options) -> tuple[list["Inspection"], list[str]]:
    """Ask all questions; returns the answers, and a sentence for each that has none."""
    from rnnkit.inspection.overview import names_of, overview

    inspections, remarks, only = [], [], _words(options.only)
    for _, answer in shown(overview(target, only), names_of(only), options.quiet):
        if isinstance(answer, str):
            remarks.append(answer)
        else:
            inspections.append(answer)
    if not inspections:
        raise UsageError(remarks[0])
    return inspections, remarks


def _over_training(folder: Path, title: str) -> list["Inspection"]:
    """Return what `rnnkit run --inspect-every` recorded."""
    from rnnkit.inspection.over_training import over_training
    from rnnkit.runs.inspection_log import read_inspections

    return over_training(title, read_inspections(folder))


def _write(out: Path, subject: Subject, inspections: list["Inspection"], remarks: list[str]) -> None:
    """Write page, numbers and pictures; those of an earlier inspection go."""
    from rnnkit.inspection.page import page, slug
    from rnnkit.support.atomic_files import reported, write_file
    from rnnkit.support.figures import png_of

    drawn = {slug(one): one.svg() for one in inspections} if find_spec("matplotlib") else {}
    files = {f"{name}.svg": svg.encode() for name, svg in drawn.items()}
    files |= {f"{slug(one)}.png": png_of(one.plot().figure) for one in inspections if slug(one) in drawn}
    facts = {"subject": subject.title, **subject.facts, "remarks": remarks, "files": sorted(files)}
    content = {**facts, "inspections": [inspection.to_json() for inspection in inspections]}
    with reported(out):
        out.mkdir(parents=True, exist_ok=True)
        for name in _earlier(out):
            (out / name).unlink(missing_ok=True)
    for name, data in files.items():
        write_file(out / name, data)
    write_file(out / NUMBERS, json.dumps(content).encode() + b"\n")
    write_file(out / PAGE, page(subject.title, subject.facts, inspections, drawn, remarks).encode())


def _earlier(out: Path) -> list[str]:
    """Return the names of the pictures that an earlier inspection left in a folder."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        names = json.loads((out / NUMBERS).read_text(encoding="utf-8"))["files"]
        return [name for name in names if re.fullmatch(r"[\w-]+\.(svg|png)", name)]
    return []


def _report(out: Path, inspections: list["Inspection"], remarks: list[str], as_json: bool) -> None:
    """Print what was read off, and where the page is."""
    from rnnkit.inspection.page import WITHOUT_PICTURES

    if not find_spec("matplotlib"):
        echo_wrapped(WITHOUT_PICTURES, aside=True)
    for remark in remarks:
        echo_wrapped(remark, aside=True)
    if as_json:
        for inspection in inspections:
            print_json(inspection.to_json())
        print_json({"event": "page", "path": str(out / PAGE)})
        return
    print_table(["question", "reading"], [(inspection.title, inspection.reading) for inspection in inspections])
    echo(f"\npage: {out / PAGE}")
