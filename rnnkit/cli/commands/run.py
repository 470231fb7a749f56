"""`rnnkit run`: train a cell on a task by backpropagation through time."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from click.core import ParameterSource

from rnnkit.cli.multiprocess import launch, left, speak_once, started
from rnnkit.cli.options import MemorySize
from rnnkit.cli.output import echo_wrapped, json_option, print_json
from rnnkit.cli.progress import shown
from rnnkit.cli.report import report
from rnnkit.cli.setting_options import setting_options
from rnnkit.cli.signals import BROKEN_PIPE, ending_with, patience
from rnnkit.cli.streams import echo, tell
from rnnkit.core.collection import collection_put_off
from rnnkit.errors import LostError, ResourceError, UsageError
from rnnkit.runs.loggers import KINDS as LOGGERS
from rnnkit.runs.loggers import Loggers, open_loggers
from rnnkit.runs.setting_fields import SHORTCUTS

if TYPE_CHECKING:
    from rnnkit.core.task import Task
    from rnnkit.runs.folder import RunWriter
    from rnnkit.runs.settings import Settings
    from rnnkit.training.record import Record
    from rnnkit.training.training import Training


class Options(NamedTuple):
    """What `rnnkit run` takes beside settings."""

    out: Path | None
    resume: Path | None
    config: Path | None
    assignments: tuple[str, ...]
    print_config: bool
    nproc: int
    memory_limit: int | None
    loggers: tuple[str, ...]
    tensorboard: bool
    as_json: bool
    quiet: bool


@click.command()
@setting_options  # --clip and the others: runs/setting_fields.py
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
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes that share each batch; torchrun can start them as well.",
)
@click.option("--memory-limit", type=MemorySize(), help="Refuse what would take more, saying what fits: 4GiB, 500MB.")
@click.option(
    "--log",
    "loggers",
    multiple=True,
    type=click.Choice(LOGGERS),
    help="Hand the records to this program too; may be repeated. Nothing leaves the machine unless WANDB_MODE or "
    "MLFLOW_TRACKING_URI says so: RUN/tensorboard, RUN/wandb, RUN/mlruns.",
)
@click.option("--tensorboard", is_flag=True, help="The same as --log tensorboard.")
@json_option
@click.option("--quiet", is_flag=True, help="Show no progress; what a task says of its data is shown all the same.")
@click.pass_context
def run(context: click.Context, /, **words: Any) -> None:
    """Train a cell on a task by backpropagation through time.

    At the end: the validation figure beside the task's baselines, what else the task tells of the model, a sample of
    text, and the norm of every gradient.
    The run is written to a folder of its own, which `rnnkit sample` reads and `--resume` goes on with, to the bit.

    Settings come from the task's defaults, then --config, then --set, then the environment (RNNKIT_RUN_LR=0.01), then
    the options here: the later ones win. Ctrl-C saves and ends after the step at hand; twice, at once.
    """
    speak_once()
    options = Options(**{name: words.pop(name) for name in Options._fields})
    with collection_put_off(for_good="torch" not in sys.modules):  # it is loaded here, and stays to the end
        from rnnkit.runs.data_copies import check_files

        settings = _resolve(context, options, words)
    if options.print_config:
        echo(settings.to_toml(), end="")
        return
    if options.resume is not None:
        check_files(options.resume, settings)
    if options.nproc > 1 and not started():
        _launch(context, options, settings)
    else:
        _train(options, settings)


def _resolve(context: click.Context, options: Options, given: dict[str, Any]) -> "Settings":
    """Return the settings from all that give some; those of a resumed run with what may differ there.

    Args:
        context: which knows where an option was given.
        options: of the command's own.
        given: the options that are settings.
    """
    from rnnkit.runs.config import assigned, check_unchanged, resolved
    from rnnkit.runs.folder import read_settings
    from rnnkit.support.toml import read_toml

    sources = [
        *([] if options.config is None else [(str(options.config), read_toml(options.config))]),
        ("--set", assigned(options.assignments)),
        ("the environment", _settings(context, given, ParameterSource.ENVIRONMENT)),
        ("the command line", _settings(context, given, ParameterSource.COMMANDLINE)),
    ]
    if options.resume is None:
        return resolved(*sources)
    if options.out is not None:
        raise UsageError("--resume writes to the folder of the run; leave --out away")
    settings = read_settings(options.resume)
    check_unchanged(settings, *sources)
    return settings


def _settings(context: click.Context, given: dict[str, Any], source: ParameterSource) -> dict[str, Any]:
    """Return the settings that came from one source; options that are the task's own in their table."""
    values = {k: v for k, v in given.items() if v is not None and context.get_parameter_source(k) is source}
    shortcuts = {name: values.pop(name) for name in SHORTCUTS if name in values}
    return {**values, "task_options": shortcuts} if shortcuts else values


def _launch(context: click.Context, options: Options, settings: "Settings") -> None:
    """Run the same command in several processes, all for one folder."""
    from rnnkit.runs.folder import RunWriter
    from rnnkit.training.process_group import check_shares

    check_shares(settings.batch, options.nproc)
    path = options.resume or RunWriter(options.out, settings).path
    launch([*context.obj, *([] if options.resume else ["--out", str(path)])], options.nproc, path)


def _train(options: Options, settings: "Settings") -> None:
    """Train in this process, alone or as one of several, and report; the first of several alone writes and prints."""
    from rnnkit.runs.data_record import resumed_task
    from rnnkit.runs.folder import RunWriter
    from rnnkit.training.process_group import process_group

    if options.nproc > 1 and started() != options.nproc:
        raise UsageError(f"--nproc is {options.nproc}, but torchrun has started {started()}; leave --nproc away")
    with process_group(settings.device) as processes:
        if not processes.is_main:
            options = options._replace(as_json=False, quiet=True, tensorboard=False, loggers=())
        resume = options.resume
        with collection_put_off():
            task = settings.make_task() if resume is None else resumed_task(resume, settings)
            model = settings.make_model(task)
            training = settings.make_training(model, task, processes)
        if options.memory_limit is not None:
            _check_memory(training, settings, options.memory_limit)
        with (
            RunWriter(options.out, settings)
            if resume is None
            else RunWriter.resume(resume, settings, training) as folder,
            _loggers(options, folder.path, settings, training) as loggers,
        ):
            if processes.is_main:
                _tell_of_data(task, options.as_json)
                _tell_of_loggers(loggers, options.as_json)
            record = _take_steps(training, folder, loggers, settings.steps, options)
    if processes.is_main:
        report(settings, training, record, folder.path, options.as_json)


def _tell_of_data(task: "Task", as_json: bool) -> None:
    """Say what the task takes of its data: what is left out is never hidden, not by --quiet nor --json."""
    if summary := " ".join(task.data_summary().split()):
        echo_wrapped(summary, aside=True)
        if as_json:
            print_json({"event": "data", "summary": summary})


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


def _loggers(options: Options, path: Path, settings: "Settings", training: "Training") -> Loggers:
    names = [*options.loggers, *(["tensorboard"] if options.tensorboard else [])]
    return open_loggers(names, path, settings, training.task.metric_name, resumed_at=training.step or None)


def _tell_of_loggers(loggers: Loggers, as_json: bool) -> None:
    """Say where records go beside the run's folder, and whether they leave the machine."""
    for place in loggers.places:
        tell(place)
        if as_json:
            print_json({"event": "log", "summary": place})


def _take_steps(training: "Training", folder: "RunWriter", loggers: Loggers, steps: int, options: Options) -> "Record":
    """Train to the end, or to the step at which a signal asked to stop; return the last record."""
    from rnnkit.runs.log import as_plain

    record: Record
    agree = training.processes.highest
    with patience() as ending:
        try:
            for record in shown(folder.recording(training), training.task, steps, options.quiet or options.as_json):
                loggers.write(record)
                if options.as_json:
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
