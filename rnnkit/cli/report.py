"""What `rnnkit run` shows at its end."""

from pathlib import Path
from typing import TYPE_CHECKING

from rnnkit.cli.output import echo_wrapped, print_json, print_table
from rnnkit.cli.streams import echo

if TYPE_CHECKING:
    from rnnkit.core.task import Task
    from rnnkit.layers.model import Model
    from rnnkit.runs.settings import Settings
    from rnnkit.training.record import Record
    from rnnkit.training.training import Training

SAMPLE_LENGTH, TEMPERATURE = 400, 0.7
"""Symbols that are drawn, and characters that are shown."""


def report(settings: "Settings", training: "Training", record: "Record", path: Path, as_json: bool) -> None:
    """Show the validation figures beside the baselines, what else the task tells of the model, a sample where the task
    has text, and the gradients' norms."""
    import torch

    from rnnkit.layers.model import Model
    from rnnkit.training.evaluation import further_figures, to_device
    from rnnkit.training.gradient_norms import gradient_norms

    assert record.validation is not None  # the last record has it
    task, model = training.task, training.eval_model
    assert isinstance(model, Model)
    baselines, further = task.baselines(), further_figures(model, task)
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
                "further": further,
            }
        )
        sample = _sample(task, model, settings.seed)
        if sample is not None:
            print_json({"event": "sample", "text": sample})
        print_json({"event": "gradients", "norms": norms})
        left_out = {"skipped": record.skipped} if record.skipped else {}
        end = {"folder": str(path), "steps": record.step, "seconds": record.seconds}
        print_json({"event": "end", **end, **left_out})
        return
    speed = record.tokens / record.seconds
    echo_wrapped(
        f"{settings.cell} on {settings.task}, unroller {model.layer.unroller}: {record.step} steps in "
        f"{record.seconds:.1f} s, {speed:,.0f} tokens/s\n"
    )
    if record.skipped:
        echo_wrapped(f"{record.skipped} of {record.step} updates were left out, as gradients overflowed float16\n")
    figures = {f"{settings.cell} (this run)": record.validation.metric, **baselines}
    print_table(
        ["validation", task.metric_name],
        [(n, f"{v:.4f}") for n, v in figures.items()],
        right=[task.metric_name],
    )
    print_further(further)
    sample = _sample(task, model, settings.seed)
    if sample is not None:
        echo(f"\na sample of its text\n\n{_indent(sample)}")
    echo_wrapped("\ngradients of the loss of one batch, after training")
    print_table(["tensor", "norm"], [(name, f"{norm:.3e}") for name, norm in norms.items()], right=["norm"])
    echo(f"\nsaved in {path}; more text: rnnkit sample {path}" if sample is not None else f"\nsaved in {path}")


def print_further(figures: dict[str, float]) -> None:
    """Print what a task tells of a model beside its metric; nothing where it tells nothing."""
    if figures:
        echo("")
        rows = [(name, f"{value:.4f}") for name, value in figures.items()]
        print_table(["further figures", "value"], rows, right=["value"])


def _sample(task: "Task", model: "Model", seed: int) -> str | None:
    """Let a model over text write; None where the task has none."""
    from rnnkit.training.sampling import generate

    prompt = task.prompt()
    if prompt is None:
        return None
    text = task.sample(generate(model, prompt, SAMPLE_LENGTH, temperature=TEMPERATURE, seed=seed))
    return text[:SAMPLE_LENGTH].strip("\n")


def _indent(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
