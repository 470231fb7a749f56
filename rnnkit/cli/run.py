"""`rnnkit run`: train a cell on a task by backpropagation through time."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnkit.cli.options import (
    PositiveFloat,
    Truncation,
    cell_option,
    complete_names,
    parse_assignments,
    set_option,
    unroller_option,
)
from rnnkit.cli.output import json_option, print_json, print_table
from rnnkit.cli.progress import shown
from rnnkit.cli.signals import raise_pending

if TYPE_CHECKING:
    from rnnkit.model import Model
    from rnnkit.settings import Settings
    from rnnkit.task import Task
    from rnnkit.training import Record

WHOLE = click.IntRange(min=1)
SAMPLE_LENGTH, TEMPERATURE = 400, 0.7


@click.command()
@cell_option
@click.option(
    "--task",
    "task_name",
    default="chars",
    envvar="RNNKIT_RUN_TASK",
    show_default=True,
    metavar="NAME",
    shell_complete=complete_names("task"),
    help="What is learned; `rnnkit tasks` lists them.",
)
@click.option("--text", type=click.Path(), help="Text to learn, for the task chars; default: Python's documentation.")
@unroller_option("auto")
@click.option("--hidden", type=WHOLE, help="Hidden size. [default: the task's]")
@click.option("--layers", type=WHOLE, default=1, show_default=True, help="Layers.")
@click.option("--steps", type=WHOLE, help="Updates of the weights. [default: the task's]")
@click.option("--batch", type=WHOLE, help="Rows of a batch. [default: the task's]")
@click.option("--seq-len", type=WHOLE, help="Time steps of a sequence. [default: the task's]")
@click.option("--tbptt", type=Truncation(), help="Truncate: an update every K1 steps, back over K2. [default: never]")
@click.option("--optimizer", default="adam", show_default=True, metavar="NAME", help="adam or sgd.")
@click.option("--lr", type=PositiveFloat(), help="Learning rate. [default: the task's]")
@click.option("--clip", type=PositiveFloat(), default=1.0, show_default=True, help="Norm that gradients are cut to.")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    default=0,
    show_default=True,
    help="The same seed, the same bits.",
)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, ...")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float64"]),
    default="float32",
    show_default=True,
    help="Precision.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run. [default: runs/TASK-CELL-TIME]")
@set_option("cell", "task", "unroller")
@json_option
@click.option("--quiet", is_flag=True, help="Show no progress.")
def run(
    cell: str,
    task_name: str,
    text: str | None,
    seq_len: int | None,
    tbptt: tuple[int, int] | None,
    out: Path | None,
    assignments: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Train a cell on a task by backpropagation through time.

    At the end: the validation figure beside the task's baselines, a sample of text, and the norm of every
    gradient. The run is written to a folder of its own, which `rnnkit sample` reads.
    """
    from rnnkit.choice import choose
    from rnnkit.registry import tasks
    from rnnkit.run_folder import RunFolder, as_plain
    from rnnkit.settings import Settings
    from rnnkit.training import make_optimizer, train

    choose(cell)
    options = parse_assignments(assignments, ("cell", "task", "unroller"))
    shortcuts = {"text": None if text is None else str(Path(text).absolute()), "seq_len": seq_len}
    options["task"] |= {key: value for key, value in shortcuts.items() if value is not None}
    values = {
        **tasks[task_name].defaults,
        **{key: value for key, value in given.items() if value is not None},
    }
    settings = Settings(
        cell=cell,
        task=task_name,
        tbptt=list(tbptt or ()),
        cell_options=options["cell"],
        task_options=options["task"],
        unroller_options=options["unroller"],
        **values,
    )
    task = settings.make_task()
    model = settings.make_model(task)
    optimizer = make_optimizer(settings.optimizer, model, settings.lr)
    with RunFolder(out, settings) as folder:
        records = train(
            model,
            task,
            steps=settings.steps,
            batch_size=settings.batch,
            truncate=tbptt,
            optimizer=optimizer,
            lr=settings.lr,
            clip=settings.clip,
            seed=settings.seed,
        )
        for record in shown(folder.recording(records), task, settings.steps, quiet or as_json):
            raise_pending()
            if as_json:
                print_json({"event": "step", **as_plain(record)})
        folder.save(model, record)
    _report(settings, task, model, record, folder.path, as_json)


def _report(settings: "Settings", task: "Task", model: "Model", record: "Record", path: Path, as_json: bool) -> None:
    import torch

    from rnnkit.evaluation import to_device
    from rnnkit.gradients import gradient_norms

    assert record.validation is not None  # the last record has it
    baselines = task.baselines()
    batch = task.batch(settings.batch, torch.Generator().manual_seed(settings.seed))
    norms = gradient_norms(model, task, to_device(batch, torch.device(settings.device)))
    if as_json:
        print_json(
            {
                "event": "validation",
                "metric": task.metric_name,
                "value": record.validation.metric,
                "loss": record.validation.loss,
                "baselines": baselines,
            }
        )
        sample = _sample(task, model, settings.seed)
        if sample is not None:
            print_json({"event": "sample", "text": sample})
        print_json({"event": "gradients", "norms": norms})
        print_json({"event": "end", "folder": str(path), "steps": record.step, "seconds": record.seconds})
        return
    speed = record.tokens / record.seconds
    click.echo(
        f"{settings.cell} on {settings.task}, unroller {model.layer.unroller}: {record.step} steps in "
        f"{record.seconds:.1f} s, {speed:,.0f} tokens/s\n"
    )
    figures = {f"{settings.cell} (this run)": record.validation.metric, **baselines}
    print_table(
        ["validation", task.metric_name],
        [(n, f"{v:.4f}") for n, v in figures.items()],
        right=[task.metric_name],
    )
    sample = _sample(task, model, settings.seed)
    if sample is not None:
        click.echo(f"\na sample of its text\n\n{_indent(sample)}")
    click.echo("\ngradients of the loss of one batch, after training")
    print_table(["tensor", "norm"], [(name, f"{norm:.3e}") for name, norm in norms.items()], right=["norm"])
    click.echo(f"\nsaved in {path}; more text: rnnkit sample {path}" if sample is not None else f"\nsaved in {path}")


def _sample(task: "Task", model: "Model", seed: int) -> str | None:
    """Let a model over text write; None where the task has none."""
    from rnnkit.sampling import generate

    prompt = task.prompt()
    if prompt is None:
        return None
    return task.sample(generate(model, prompt, SAMPLE_LENGTH, temperature=TEMPERATURE, seed=seed)).strip("\n")


def _indent(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
