"""`rnnkit run`: train a cell on a task by backpropagation through time."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from rnnkit.cli.multiprocess import launch, left, speak_once, started
from rnnkit.cli.options import CELLS, MaybePositive, MemorySize, PositiveFloat, Truncation, complete_names
from rnnkit.cli.output import json_option, print_json
from rnnkit.cli.progress import shown
from rnnkit.cli.report import report
from rnnkit.cli.signals import BROKEN_PIPE, ending_with, patience
from rnnkit.cli.streams import echo, tell
from rnnkit.errors import LostError, ResourceError, UsageError

if TYPE_CHECKING:
    from rnnkit.core.task import Task
    from rnnkit.runs.folder import RunFolder
    from rnnkit.runs.settings import Settings
    from rnnkit.runs.tensorboard import TensorBoard
    from rnnkit.training.record import Record
    from rnnkit.training.training import Training

WHOLE = click.IntRange(min=1)
COUNT = click.IntRange(min=0)


@click.command()
@click.option(
    "--cell",
    metavar="NAME|MODULE:CLASS",
    shell_complete=complete_names("cell"),
    help=f"{CELLS}. [default: lstm]",
)
@click.option(
    "--task",
    metavar="NAME",
    shell_complete=complete_names("task"),
    help="What is learned; `rnnkit tasks` lists them. [default: chars]",
)
@click.option("--text", type=click.Path(), help="Text to learn, for the task chars; default: Python's documentation.")
@click.option(
    "--unroller",
    metavar="NAME",
    shell_complete=complete_names("unroller"),
    help="How the steps are differentiated; `rnnkit unrollers` lists them. [default: auto]",
)
@click.option("--hidden", type=WHOLE, help="Hidden size. [default: the task's]")
@click.option("--layers", type=WHOLE, help="Layers. [default: 1]")
@click.option("--dropout", type=click.FloatRange(0, 1), help="Rate between layers. [default: 0]")
@click.option("--steps", type=WHOLE, help="Updates of the weights. [default: the task's]")
@click.option("--batch", type=WHOLE, help="Rows of a batch. [default: the task's]")
@click.option("--seq-len", type=WHOLE, help="Time steps of a sequence. [default: the task's]")
@click.option("--tbptt", type=Truncation(), help="Truncate: an update every K1 steps, back over K2. [default: never]")
@click.option("--accumulate", type=WHOLE, help="Batches, or windows, that an update learns from. [default: 1]")
@click.option("--optimizer", metavar="NAME", help="adam, adamw, rmsprop or sgd. [default: adam]")
@click.option("--lr", type=PositiveFloat(), help="Learning rate. [default: the task's]")
@click.option("--weight-decay", type=MaybePositive(), help="Decay of the weights. [default: 0]")
@click.option("--clip", type=MaybePositive(), help="What gradients are cut to; 0: never. [default: 1]")
@click.option("--clip-by", type=click.Choice(["norm", "value"]), help="Cut the norm, or each value. [default: norm]")
@click.option(
    "--schedule",
    type=click.Choice(["constant", "cosine", "plateau"]),
    help="Of the learning rate. [default: constant]",
)
@click.option("--warmup", type=COUNT, help="Updates over which the learning rate rises. [default: 0]")
@click.option(
    "--average",
    type=click.FloatRange(0, 1, max_open=True),
    help="Decay of a mean of the weights, which is judged and sampled then. [default: 0, none]",
)
@click.option("--validate-every", type=COUNT, help="Updates between validations. [default: 0, only at the end]")
@click.option("--patience", type=COUNT, help="Validations without a better one, then end. [default: 0, never]")
@click.option("--save-every", type=COUNT, help="Updates between checkpoints. [default: 100]")
@click.option("--keep", type=WHOLE, help="How many of the last checkpoints stay, beside the best. [default: 2]")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="The same seed, the same bits. [default: 0]")
@click.option("--device", help="cpu, cuda, cuda:1, ... [default: cpu]")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float64", "bfloat16"]),
    help="Precision; bfloat16 computes in it where that is safe, the weights stay float32. [default: float32]",
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run. [default: runs/TASK-CELL-TIME]")
@click.option("--resume", type=click.Path(path_type=Path), metavar="RUN", help="Go on with the run in this folder.")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE.toml",
    help="Settings; --set, the environment and options win.",
)
@click.option(
    "--set",
    "assignments",
    multiple=True,
    allow_from_autoenv=False,
    metavar="KEY=VALUE",
    help="A setting, or TABLE.KEY=VALUE: an option of the cell, task, unroller or optimizer's own; may be repeated.",
)
@click.option("--print-config", is_flag=True, help="Print the settings as TOML, and train nothing.")
@click.option(
    "--nproc",
    type=WHOLE,
    default=1,
    show_default=True,
    help="Processes that share each batch; torchrun can start them as well.",
)
@click.option("--memory-limit", type=MemorySize(), help="Refuse what would take more, saying what fits: 4GiB, 500MB.")
@click.option("--tensorboard", is_flag=True, help="Write what TensorBoard draws, to RUN/tensorboard.")
@json_option
@click.option("--quiet", is_flag=True, help="Show no progress; what a task says of its data is shown all the same.")
@click.pass_context
def run(
    context: click.Context,
    /,
    out: Path | None,
    resume: Path | None,
    config: Path | None,
    assignments: tuple[str, ...],
    print_config: bool,
    nproc: int,
    memory_limit: int | None,
    tensorboard: bool,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Train a cell on a task by backpropagation through time.

    At the end: the validation figure beside the task's baselines, a sample of text, and the norm of every gradient.
    The run is written to a folder of its own, which `rnnkit sample` reads and `--resume` goes on with, to the bit.

    Settings come from the task's defaults, then --config, then --set, then the environment (RNNKIT_RUN_LR=0.01), then
    the options here: the later ones win. Ctrl-C saves and ends after the step at hand; twice, at once.
    """
    speak_once()
    from rnnkit.runs.config import assigned, check_files, check_unchanged, resolved
    from rnnkit.runs.data_record import kept_task
    from rnnkit.runs.folder import RunFolder, read_settings
    from rnnkit.support.toml import read_toml
    from rnnkit.training.process_group import check_shares, joined

    sources = [
        *([] if config is None else [(str(config), read_toml(config))]),
        ("--set", assigned(assignments)),
        ("the environment", _settings(context, given, ParameterSource.ENVIRONMENT)),
        ("the command line", _settings(context, given, ParameterSource.COMMANDLINE)),
    ]
    if resume is None:
        settings = resolved(*sources)
    elif out is not None:
        raise UsageError("--resume writes to the folder of the run; leave --out away")
    else:
        settings = read_settings(resume)
        check_unchanged(settings, *sources)
    if print_config:
        echo(settings.to_toml(), end="")
        return
    if resume is not None:
        check_files(settings, resume)
    if nproc > 1 and not started():
        check_shares(settings.batch, nproc)
        path = resume or RunFolder(out, settings).path
        launch([*context.obj, *([] if resume else ["--out", str(path)])], nproc, path)
        return
    if nproc > 1 and started() != nproc:
        raise UsageError(f"--nproc is {nproc}, but torchrun has started {started()}; leave --nproc away")
    with joined(settings.device) as processes:
        if not processes.first:
            as_json, quiet = False, True
        task = settings.make_task() if resume is None else kept_task(resume, settings)
        model = settings.make_model(task)
        training = settings.make_training(model, task, processes)
        if memory_limit is not None:
            _check_memory(training, settings, memory_limit)
        with (
            RunFolder(out, settings) if resume is None else RunFolder.resume(resume, settings, training) as folder,
            _board(training, folder) if tensorboard and processes.first else nullcontext() as board,
        ):
            if processes.first:
                _tell_of_data(task, as_json)
            record = _train(training, folder, board, settings, as_json, quiet)
    if processes.first:
        report(settings, training, record, folder.path, as_json)


def _tell_of_data(task: "Task", as_json: bool) -> None:
    """Say what the task takes of its data: what is left out is never hidden, not by --quiet nor --json."""
    if summary := " ".join(task.data_summary().split()):
        tell(summary)
        if as_json:
            print_json({"event": "data", "summary": summary})


def _settings(context: click.Context, given: dict[str, Any], source: ParameterSource) -> dict[str, Any]:
    """Give the settings that came from one source; `--text` and `--seq-len` are options of the task's."""
    values = {k: v for k, v in given.items() if v is not None and context.get_parameter_source(k) is source}
    shortcuts = {key: values.pop(key) for key in ("text", "seq_len") if key in values}
    return {**values, "task_options": shortcuts} if shortcuts else values


def _check_memory(training: "Training", settings: "Settings", limit: int) -> None:
    """Refuse what would take more than the limit in a process, saying what fits."""
    from rnnkit.memory import check_memory

    check_memory(
        training.model,
        training.task,
        limit=limit,
        batch_size=settings.batch // training.processes.size,
        truncate=settings.truncate,
        optimizer=training.optimizer,
    )


def _board(training: "Training", folder: "RunFolder") -> "TensorBoard":
    from rnnkit.runs.tensorboard import TensorBoard

    return TensorBoard(folder.path / "tensorboard", training.task.metric_name, resumed_at=training.step or None)


def _train(
    training: "Training",
    folder: "RunFolder",
    board: "TensorBoard | None",
    settings: "Settings",
    as_json: bool,
    quiet: bool,
) -> "Record":
    """Train to the end, or to the step at which a signal asked to stop; gives the last record."""
    from rnnkit.runs.log import as_plain

    record: Record
    agree = training.processes.highest
    with patience() as ending:
        try:
            for record in shown(folder.recording(training), training.task, settings.steps, quiet or as_json):
                if board is not None:
                    board.write(record)
                if as_json:
                    print_json({"event": "step", **as_plain(record)})
                if code := agree(ending[0].code if ending else left()):
                    folder.save(training)
                    more = "all steps are taken, saved in" if training.done else "go on with: rnnkit run --resume"
                    raise ending_with(code, f"{more} {folder.path}")
        except BrokenPipeError:
            agree(BROKEN_PIPE)
            folder.save(training)
            raise
        except LostError:
            raise
        except ResourceError as error:
            if not folder.resumable:
                raise
            raise ResourceError(
                f"{error}; once that is mended, go on with: rnnkit run --resume {folder.path}"
            ) from None
    return record
