"""`rnnkit race`: which cell learns a task best, at equal cost."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from click.core import ParameterSource

from rnnkit.cli.name_lists import Names
from rnnkit.cli.options import complete_names
from rnnkit.cli.output import echo_wrapped, json_option, print_json, print_table
from rnnkit.cli.race_options import Rates
from rnnkit.cli.race_progress import shown
from rnnkit.cli.signals import ending_with, patience
from rnnkit.errors import ResourceError
from rnnkit.racing import defaults

if TYPE_CHECKING:
    from rnnkit.racing.entry import RunningRace
    from rnnkit.racing.result import RaceResult

OF_A_RACE = ("cells", "seeds", "tuning_seeds", "rates", "equal", "target")
OF_A_RUN = ("task", "steps", "hidden", "batch")


class Options(NamedTuple):
    """What `rnnkit race` takes beside settings."""

    assignments: tuple[str, ...]
    jobs: int | None
    out: Path | None
    resume: Path | None
    as_json: bool
    quiet: bool


@click.command()
@click.option(
    "--cells", type=Names("cells", "lstm,gru"), metavar="CELL,CELL,...", help="Two or more; the first sets the cost."
)
@click.option("--task", metavar="NAME", shell_complete=complete_names("task"), help="What is learnt. [default: chars]")
@click.option("--seeds", type=click.IntRange(min=1), help=f"Seeds to rank by. [default: {defaults.SEEDS}]")
@click.option(
    "--tuning-seeds",
    type=click.IntRange(min=1),
    help=f"Other seeds, by which each cell's learning rate is chosen. [default: {defaults.TUNING_SEEDS}]",
)
@click.option("--steps", type=click.IntRange(min=1), help=f"Updates of each training. [default: {defaults.STEPS}]")
@click.option("--hidden", type=click.IntRange(min=1), help=f"Size of the first cell. [default: {defaults.HIDDEN}]")
@click.option(
    "--equal",
    type=click.Choice(defaults.EQUAL),
    help=f"In what the whole models are equal, or the hidden sizes. [default: {defaults.EQUAL[0]}]",
)
@click.option(
    "--lr",
    "rates",
    type=Rates(),
    metavar="RATE,...",
    help="Learning rates that each cell tries. [default: the task's own, a third of it, three times it]",
)
@click.option("--batch", type=click.IntRange(min=1), help="Rows of a batch. [default: the task's]")
@click.option("--seq-len", type=click.IntRange(min=1), help="Time steps of a sequence. [default: the task's]")
@click.option("--target", type=float, help="Say how soon each cell reaches this metric.")
@click.option(
    "--set",
    "assignments",
    multiple=True,
    allow_from_autoenv=False,
    metavar="KEY=VALUE",
    help="A setting of `rnnkit run` for all trainings, or TABLE.KEY=VALUE (task.seq_len=50); may be repeated.",
)
@click.option("--jobs", type=click.IntRange(min=0), help="Processes, a thread each; 0: this one. [default: one a core]")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the race. [default: runs/race-TASK-TIME]")
@click.option("--resume", type=click.Path(path_type=Path), metavar="RACE", help="Go on with the race in this folder.")
@json_option
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.pass_context
def race(context: click.Context, /, **words: Any) -> None:
    """Let cells learn a task at equal cost, and rank them.

    Every cell tries the same learning rates, on seeds that are for that alone; the rate of the best median is trained
    on the seeds that the cells are ranked by. All trainings take the same number of updates, and the metric of the
    last validation counts: its median over the seeds, and a paired bootstrap of the difference to the first place.

    The folder gets index.html (a page that stands alone), curves.svg and curves.png, leaderboard.json and .csv. Each
    training is kept as it ends; after Ctrl-C, or a kill, --resume goes on. An option of one cell stands in an
    expression: --cells "gru,zoneout(gru, rate=0.1)"; cell.KEY=VALUE in --set is for all.
    """
    from rnnkit.racing.entry import prepared
    from rnnkit.runs.config import assigned

    options = Options(**{name: words.pop(name) for name in Options._fields})
    given = {name: words[name] for name in OF_A_RACE if words[name] is not None}
    sources = [
        ("--set", assigned(options.assignments)),
        ("the environment", _settings(context, words, ParameterSource.ENVIRONMENT)),
        ("the command line", _settings(context, words, ParameterSource.COMMANDLINE)),
    ]
    with prepared(given, sources, options.jobs, options.out, options.resume) as running:
        _announce(running, options)
        _train(running, options)
        _report(running.finish(), options.as_json)


def _settings(context: click.Context, given: dict[str, Any], source: ParameterSource) -> dict[str, Any]:
    """Return the settings of a run that came from one source."""

    def values(names: tuple[str, ...]) -> dict[str, Any]:
        return {n: given[n] for n in names if given[n] is not None and context.get_parameter_source(n) is source}

    options = values(("seq_len",))
    return {**values(OF_A_RUN), **({"task_options": options} if options else {})}


def _announce(running: "RunningRace", options: Options) -> None:
    """Say what the task takes of its data, and how large the cells are."""
    course = running.course
    if summary := " ".join(course.task.data_summary().split()):
        echo_wrapped(summary, aside=True)
        if options.as_json:
            print_json({"event": "data", "summary": summary})
    if options.as_json:
        for size in course.sizes:
            print_json({"event": "size", **size._asdict()})
    elif not options.quiet:
        for size in course.sizes:
            figures = f"hidden {size.hidden}, {size.parameters:,} parameters, {size.flops:,} flops a step"
            echo_wrapped(f"{size.cell}: {figures}", aside=True)


def _train(running: "RunningRace", options: Options) -> None:
    """Train to the end, or until a signal asks to stop."""
    remedy = f"go on with: rnnkit race --resume {running.path}"
    quiet = options.quiet or options.as_json
    with (
        patience() as ending,
        closing(running.statuses()) as statuses,
        closing(shown(statuses, running.course, quiet)) as watched,
    ):
        try:
            for status in watched:
                if options.as_json and status.result is not None:
                    print_json({"event": "training", **_plain(status.result)})
                if ending:
                    raise ending_with(ending[0].code, remedy)
        except ResourceError as error:
            raise ResourceError(f"{error}; {remedy}") from None


def _plain(result: Any) -> dict[str, Any]:
    names = ("label", "tuning", "lr", "seed", "outcome", "message", "step", "tokens", "seconds", "metric")
    values = {name: getattr(result, name) for name in names}
    return {"cell": values.pop("label"), **values}


def _report(result: "RaceResult", as_json: bool) -> None:
    """Print the leaderboard, what is to be known of it, and where all of it is."""
    from rnnkit.racing import tables

    if as_json:
        for place in result.leaderboard:
            print_json({"event": "place", **result.place(place)})
        about = result.as_plain()
        del about["places"]
        print_json({"event": "end", **about})
        return
    echo_wrapped(f"{tables.heading(result)}\n")
    _print(tables.places(result), ("highest", "lowest"))
    if notes := result.notes():
        echo_wrapped("\n" + "\n".join(notes))
    if result.settings.target is not None:
        echo_wrapped(f"\n{tables.target(result)}\n")
        _print(tables.reached(result), ())
    equal = result.settings.equal
    echo_wrapped(f"\nat equal {'hidden size' if equal == 'hidden' else f'{equal} of the whole model'}\n")
    _print(tables.costs(result), ("off", "flops", "seconds"))
    if result.settings.tunes:
        echo_wrapped(f"\ntuning: median {result.task.metric_name} of each learning rate; * is the one that was taken\n")
        _print(tables.tuning(result), ())
    echo_wrapped(f"\nsaved in {result.folder}; to be looked at: {result.folder / 'index.html'}")


def _print(table: Any, less: tuple[str, ...]) -> None:
    print_table(table.headings, table.rows, right=table.numbers, less=less)
