"""`rnnkit predict`: what a trained model makes of data: forecasts in their dates and units, or labels."""

import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from rnnkit.cli.options import files_option, trained
from rnnkit.cli.output import echo_wrapped, json_option, print_json, print_table
from rnnkit.cli.streams import echo, tell
from rnnkit.errors import DataError, UsageError

if TYPE_CHECKING:
    from rnnkit.core.prediction import Prediction
    from rnnkit.runs.loading import TrainedRun


LONGEST_LINE = 2**24
"""Bytes."""

CLOSE = 0.01
"""Of a metric in validation: what is better by less is as good."""

SHOWN_STEPS = 8
"""Of many rows ahead, about as many are printed; --json has all."""


class Options(NamedTuple):
    """What `rnnkit predict` takes beside the run."""

    data: Path | None
    out: Path | None
    interval: float
    season: int | None
    origins: str
    plot: Path | None
    follow: bool
    files: dict[str, Any]
    as_json: bool
    quiet: bool


@click.command(short_help="Forecast a table, or label texts and sequences.")
@trained
@click.option(
    "--data",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Data as the run's own, a file or folder. [default: those of its own that are kept for a test]",
)
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help="CSV file. [default: stdout]")
@click.option(
    "--interval",
    metavar="SHARE",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.9,
    show_default=True,
    help="Of forecasts: share of what comes that is to lie within the bounds.",
)
@click.option(
    "--season",
    metavar="ROWS",
    type=click.IntRange(min=1),
    help="Of forecasts: season of the naive one. [default: a day, week or year, by the rows' pace]",
)
@click.option(
    "--from",
    "origins",
    type=click.Choice(["blocks", "every", "last"]),
    default="blocks",
    show_default=True,
    help="Of forecasts: rows to forecast several steps from: so that each date comes once, every row, or the last one.",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    help="Draw the last forecasts, or which labels are taken for which, into this PNG or SVG file.",
)
@click.option(
    "--follow",
    is_flag=True,
    help="Of forecasts: read rows from stdin, and forecast from each as it comes; what is known ahead comes in rows "
    "that hold nothing else but time and key.",
)
@files_option
@json_option
@click.option("--quiet", is_flag=True, help="Show the rows alone, without figures and notes.")
def predict(folder: Path, best: bool, device: str | None, **words: Any) -> None:
    """Say what the model of the run in folder RUN makes of data: a row of CSV for each forecast, or for each sequence
    or step that gets a label. The data are read as the run read its own, whose file may be gone, and brought to the
    form that the run kept. Below the rows: how good they are where that is known, beside simpler methods; on stderr
    unless --out is given.

    A table is forecast in its own dates and units, with a prediction interval and, where it is known, what came. The
    first rows, as many as a window has, are read before anything is forecast; the last forecasts are of rows beyond
    its end. The interval comes from the errors on the rows that validated the run, kept in RUN/calibration.json as its
    training ends. Errors stand beside those of the last value, of the value a season before, and of ridge regression.

    Texts and sequences get a label each, or one a step, with its probability and, where it is known, the true one; a
    label column may lack. Accuracy, precision, recall and F1 stand beside those of simple methods.
    """
    from rnnkit.runs.loading import load

    options = Options(**words)
    _check(options)
    run = load(folder, best, device=device, files=options.files)
    if options.follow:
        _follow(run, options)
        return
    _check_inputs(run, options)
    prediction = run.predict(options.data, interval=options.interval, season=options.season, origins=options.origins)
    if options.plot is not None:
        _draw(prediction, options.plot)
    text = prediction.to_csv(options.out)
    if options.as_json:
        _print_lines(prediction, options)
        return
    if options.out is None:
        echo(text, end="")
    if not options.quiet:
        _report(prediction, options)
        if not best:
            _tell_better(run)


def _tell_better(run: "TrainedRun") -> None:
    """Say if an earlier validation of the run was better than the last one, whose model this is."""
    from rnnkit.runs.history import read_history

    validation = read_history(run.path).validation
    worse = -validation.metric if run.task.higher_is_better else validation.metric
    if not (worse[:-1] < worse[-1] - CLOSE * abs(worse[-1])).any():
        return
    at = int(worse.argmin())
    last, best = (f"{validation.metric[place]:.4g} at step {validation.step[place]}" for place in (-1, at))
    said = f"{run.task.metric_name} in validation: {best}, {last}, whose model this is; --best takes the better one"
    echo_wrapped(said, aside=True)


def _check(options: Options) -> None:
    """Refuse what cannot be written, before anything is computed."""
    from rnnkit.support.figures import check_plot
    from rnnkit.support.own_files import check_not_own

    given = [f"--{name}" for name in ("data", "out", "season", "plot") if getattr(options, name) is not None]
    given += ["--from"] if options.origins != "blocks" else []
    if options.follow and given:
        raise UsageError(f"--follow reads stdin and writes stdout; leave out {', '.join(given)}")
    if options.plot is not None:
        check_plot(options.plot)
    if options.out is not None:
        check_not_own(options.out, "--out")
    if options.out is not None and options.out.is_dir():
        raise UsageError(f"--out {options.out} is a folder; name a file")
    if options.out is not None and not options.out.parent.is_dir():
        raise UsageError(f"--out {options.out}: there is no folder {options.out.parent}")


def _check_inputs(run: "TrainedRun", options: Options) -> None:
    """Refuse to write over a table that is read, or that the run learnt from."""
    own = [run.settings.task_options.get(name) for name in run.settings.task_class.files]
    for read in [options.data, *(Path(name) for name in own if isinstance(name, str))]:
        for name, written in (("--out", options.out), ("--plot", options.plot)):
            if read is not None and written is not None and _is_of(written, read):
                raise UsageError(f"{name} {written} would write over {read}, which is read; name another file")


def _is_of(written: Path, read: Path) -> bool:
    """Tell whether a file that is there is one that is read, or lies in a folder that is."""
    if not (written.exists() and read.exists()):
        return False
    return written.samefile(read) or (read.is_dir() and read.resolve() in written.resolve().parents)


def _follow(run: "TrainedRun", options: Options) -> None:
    """Print a line for each row that comes, at once."""
    predictions = run.predictor().follow(_lines(), interval=options.interval)
    if predictions is None:
        raise UsageError(f"{run.path}: data of task {run.task.name!r} do not come line by line; give --data FILE")
    told: set[str] = set()
    for count, prediction in enumerate(predictions):
        for note in prediction.notes:
            if note not in told and not options.quiet:
                echo_wrapped(note, aside=True)
            told.add(note)
        if options.as_json:
            for record in prediction.records():
                print_json({"event": "row", **record})
        else:
            echo(prediction.to_csv(header=count == 0), end="")


def _lines() -> Iterator[str]:
    """Yield the lines of stdin as they come."""
    source = getattr(sys.stdin, "buffer", None) or BytesIO()
    for number, line in enumerate(iter(lambda: source.readline(LONGEST_LINE + 1), b""), start=1):
        if len(line) > LONGEST_LINE:
            raise DataError(f"stdin, line {number} has more than {LONGEST_LINE:,} bytes; give a table, a row a line")
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError:
            raise DataError(f"stdin, line {number} is not UTF-8 text; convert it") from None


def _draw(prediction: "Prediction", path: Path) -> None:
    from rnnkit.support.atomic_files import write_file
    from rnnkit.support.figures import save

    if path.suffix.lower() == ".svg":  # with a title, for those who do not see it
        write_file(path, prediction.svg().encode())
    else:
        save(prediction.plot(), path, prediction.describe())


def _print_lines(prediction: "Prediction", options: Options) -> None:
    for record in prediction.records():
        print_json({"event": "row", **record})
    if options.quiet:
        return
    for figure in prediction.figures():
        print_json({"event": prediction.event, **figure})
    for figure in prediction.step_figures():
        print_json({"event": "step_error", **figure})
    bounds = {"interval": prediction.interval} if hasattr(prediction, "interval") else {}
    print_json({"event": "end", **bounds, "notes": list(prediction.notes)})


def _report(prediction: "Prediction", options: Options) -> None:
    """Print how good it was, and how it was made: beside the data to stderr, else to stdout."""
    from rnnkit.core.prediction import written

    aside = options.out is None
    if aside and sys.stdout.isatty():
        tell("")
    figures = prediction.figures()
    if figures:
        headings = list(figures[0])
        numbers = [name for name in headings if not isinstance(figures[0][name], str)]
        rows = [[written(value) for value in row.values()] for row in figures]
        print_table(headings, rows, right=numbers, keep=headings[:2], aside=aside)
        echo_wrapped("", aside=aside)
    _report_steps(prediction, aside)
    for note in prediction.notes:
        echo_wrapped(f"- {note}", aside=aside)
    files = [str(path) for path in (options.out, options.plot) if path is not None]
    if files:
        echo_wrapped(f"\nsaved in {' and '.join(files)}", aside=aside)


def _report_steps(prediction: "Prediction", aside: bool) -> None:
    """Print how good it was by how far ahead: each step, or where there are many, some of them."""
    from rnnkit.core.prediction import written

    figures = prediction.step_figures()
    if not figures:
        return
    steps = sorted({figure["step"] for figure in figures if isinstance(figure["step"], int)})
    chosen = set(steps[:1] + [step for step in steps if step % -(-len(steps) // SHOWN_STEPS) == 0] + steps[-1:])
    rows = [[written(value) for value in figure.values()] for figure in figures if figure["step"] in chosen]
    headings = list(figures[0])
    echo_wrapped(
        "RMSE by rows ahead" + (f", {len(chosen)} of {len(steps)}" if len(chosen) < len(steps) else ""), aside=aside
    )
    print_table(headings, rows, right=headings[1:], keep=headings[:3], aside=aside)
    echo_wrapped("", aside=aside)
