"""`rnnkit eval`: what a trained model reaches on the batches that are held out."""

import math
from pathlib import Path
from typing import Any

import click

from rnnkit.cli.options import files_option, trained
from rnnkit.cli.output import json_option, print_json, print_table
from rnnkit.cli.report import print_further


@click.command("eval", short_help="Show loss and metric of a run's model.")
@trained
@click.option(
    "--split",
    type=click.Choice(["validation", "test"]),
    default="validation",
    show_default=True,
    help="test: the batches that no choice was made on, of a task that keeps some.",
)
@files_option
@json_option
def evaluate_run(
    folder: Path, best: bool, device: str | None, split: str, files: dict[str, Any], as_json: bool
) -> None:
    """Show loss and metric of the model of the run in folder RUN, on held-out batches.

    The data are brought to the scale that the run kept, and cut into parts where it cut them. The task's baselines
    stand beside those of the validation, and below them what else the task tells of a model, such as its accuracy
    by depth; neither is known for the test.
    """
    from rnnkit.errors import DivergedError, UsageError
    from rnnkit.runs.data_record import check_data
    from rnnkit.runs.folder import open_run
    from rnnkit.training.evaluation import evaluate, further_figures

    settings, task, model = open_run(folder, best=best, device=device, files=files)
    check_data(folder, settings, task)
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
