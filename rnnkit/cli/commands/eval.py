"""`rnnkit eval`: what a trained model reaches on the batches that are held out."""

import math
from pathlib import Path

import click

from rnnkit.cli.options import trained
from rnnkit.cli.output import json_option, print_json, print_table
from rnnkit.cli.report import print_further
from rnnkit.plugin.key_value import by_table


@click.command("eval", short_help="Show loss and metric of a run's model.")
@trained
@click.option(
    "--split",
    type=click.Choice(["validation", "test"]),
    default="validation",
    show_default=True,
    help="test: the batches that no choice was made on, of a task that keeps some.",
)
@click.option(
    "--set",
    "assignments",
    multiple=True,
    allow_from_autoenv=False,
    metavar="task.KEY=FILE",
    help="Where a file of the task's is now, if it has moved; may be repeated.",
)
@json_option
def evaluate_run(
    folder: Path, best: bool, device: str | None, split: str, assignments: tuple[str, ...], as_json: bool
) -> None:
    """Show loss and metric of the model of the run in folder RUN, on held-out batches.

    The data are brought to the scale that the run kept, and cut into parts where it cut them. The task's baselines
    stand beside those of the validation, and below them what else the task tells of a model, such as its accuracy
    by depth; neither is known for the test.
    """
    from rnnkit.errors import DivergedError, UsageError
    from rnnkit.runs.config import check_files
    from rnnkit.runs.data_record import tell_changed_data
    from rnnkit.runs.folder import open_run
    from rnnkit.training.evaluation import evaluate, further_figures

    # A bare KEY=FILE is taken as well: nothing but files of the task's can be meant.
    paths = [text if "." in text.partition("=")[0] else f"task.{text}" for text in assignments]
    files = by_table(paths, ("task",))["task"]
    settings, task, model = open_run(folder, best=best, device=device, files=files)
    check_files(settings, folder)
    tell_changed_data(folder, task)
    batches = task.validation() if split == "validation" else task.test()
    if batches is None:
        raise UsageError(f"task {settings.task!r} keeps no batches for a test; give --split validation")
    reached = evaluate(model, task, batches)
    if not math.isfinite(reached.loss):
        raise DivergedError(f"{folder}: the {split} loss is {reached.loss}; train again with a lower learning rate")
    baselines, further = {}, {}
    if split == "validation":
        baselines = task.baselines()
        further = further_figures(model, task)
    if as_json:
        figures = {"loss": reached.loss, "metric": task.metric_name, "value": reached.metric, "baselines": baselines}
        figures["further"] = further
        print_json({"folder": str(folder), "cell": settings.cell, "task": settings.task, "split": split, **figures})
        return
    rows = [(f"{settings.cell} (this run)", f"{reached.loss:.4f}", f"{reached.metric:.4f}")]
    rows += [(name, "", f"{value:.4f}") for name, value in baselines.items()]
    print_table([split, "loss", task.metric_name], rows, right=["loss", task.metric_name])
    print_further(further)
