"""What a task's batch must be like, checked before anything is computed from it."""

import torch
from torch import Tensor

from rnnkit.core.input_checks import check_lengths
from rnnkit.core.task import Batch, Task
from rnnkit.errors import DataError, RnnkitError, ShapeError, said


def check_batch(task: Task, batch: Batch) -> Batch:
    """Return the batch back, if a model can be trained or judged on it.

    Raises:
        DataError: it has no steps or rows, another width, symbols that there are not, lengths beyond its end, or not
            a target for each step or row.
    """
    problem = _problem(task, batch)
    if problem:
        raise DataError(f"task {task.name!r}: a batch {problem}")
    return batch


def loss_of(task: Task, outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the task's loss.

    Raises:
        DataError: a target is out of range.
    """
    try:
        return task.loss(outputs, targets)
    except RnnkitError:
        raise
    except (IndexError, ValueError) as error:
        reason = said(error).rstrip(".") or type(error).__name__
        raise DataError(
            f"task {task.name!r}: a batch has targets that its loss does not take ({reason}); "
            f"correct them, or output_size, which is {task.output_size}"
        ) from error


def metric_of(task: Task, loss: Tensor, outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the task's metric of outputs whose loss is known."""
    having = [next(kind for kind in type(task).__mro__ if name in vars(kind)) for name in OF_LOSS]
    known = task.metric_by_loss(loss) if all(issubclass(having[0], kind) for kind in having[1:]) else None
    return task.metric(outputs, targets) if known is None else known


OF_LOSS = ("metric_by_loss", "loss", "metric")
"""Methods of which the first says what follows of the others."""


def _problem(task: Task, batch: Batch) -> str:
    """Say what is wrong, and what to do; "" if nothing is."""
    xs, dims = batch.xs, 2 if task.symbols else 3
    form = "(time, batch)" if task.symbols else "(time, batch, input_size)"
    if xs.ndim != dims:
        return f"has inputs of shape {tuple(xs.shape)}; they must be {form}"
    if 0 in xs.shape[:2]:
        return f"has inputs of shape {tuple(xs.shape)}; give at least one step and one row"
    wrong = _wrong_symbols(xs, task.input_size) if task.symbols else _wrong_width(xs, task.input_size)
    return wrong or _wrong_lengths(batch) or _wrong_targets(task, batch)


def _wrong_width(xs: Tensor, width: int) -> str:
    if xs.shape[-1] == width:
        return ""
    return f"has {xs.shape[-1]} features a step; correct it, or input_size, which is {width}"


def _wrong_symbols(xs: Tensor, count: int) -> str:
    if xs.dtype not in (torch.int32, torch.int64):
        return f"has symbols of {xs.dtype}; they must be torch.int64"
    if xs.device.type != "cpu":  # to look would be to wait
        return ""
    least, most = map(int, xs.aminmax())
    if least >= 0 and most < count:
        return ""
    return f"has symbols from {least} to {most}; they must be at least 0 and below input_size, which is {count}"


def _wrong_lengths(batch: Batch) -> str:
    if batch.lengths is None:
        return ""
    steps, rows = batch.xs.shape[:2]
    try:
        check_lengths(batch.lengths, steps, rows, batch.xs.device)
    except ShapeError as error:
        return f"is wrong: {error}"
    return ""


def _wrong_targets(task: Task, batch: Batch) -> str:
    expected = tuple(batch.xs.shape[:2] if task.every_step else batch.xs.shape[1:2])
    shape = tuple(batch.targets.shape)
    if shape[: len(expected)] == expected:
        return ""
    each = "step of each row" if task.every_step else "row"
    return f"has targets of shape {shape}; give one for each {each}, {(*expected, '...')}".replace("'", "")
