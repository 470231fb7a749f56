"""Evaluation: loss and metric of a model over the held-out batches."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from rnnkit.core.batch_checks import check_batch, loss_of, metric_of
from rnnkit.core.task import Batch, Task
from rnnkit.errors import DataError
from rnnkit.layers.model import last_outputs

Carried: TypeAlias = "Tensor | tuple[Carried, ...] | None"
"""A model's state on its way from one batch to the next, nested as the model likes; None: the initial one."""


class Evaluation(NamedTuple):
    """Loss and metric over held-out batches."""

    loss: float
    metric: float


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation, without gradients, for a while; each module's mode is as before afterwards."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True


def evaluate(model: nn.Module, task: Task, batches: Iterable[Batch] | None = None) -> Evaluation:
    """Return the mean loss and metric over batches.

    Args:
        model: maps (xs, state, lengths=) to (outputs, state), as `rnnkit.Model` does.
        task: judges the outputs.
        batches: `task.test()`, for instance; None: the validation batches.

    Raises:
        DataError: there is no batch, or one that is unfit.
    """
    device = next(model.parameters()).device
    loss = metric = weight = 0.0
    state: Carried = None
    with evaluating(model):
        for batch in task.validation() if batches is None else batches:
            batch = to_device(check_batch(task, batch), device)
            outputs, state = model(batch.xs, state if batch.continues else None, lengths=batch.lengths)
            judged = outputs if task.every_step else last_outputs(outputs, batch.lengths)
            count = _targets(task, batch)
            of_batch = loss_of(task, judged, batch.targets)
            loss += float(of_batch) * count
            metric += float(metric_of(task, of_batch, judged, batch.targets)) * count
            weight += count
    if not weight:
        raise DataError(f"task {task.name!r} gives no batch to evaluate on")
    return Evaluation(loss / weight, metric / weight)


def _targets(task: Task, batch: Batch) -> int:
    """Return how many targets a batch has: none past the ends of its rows, and no number that is not finite."""
    if batch.targets.is_floating_point():
        return int(batch.targets.isfinite().sum())
    if not task.every_step or batch.lengths is None:
        return batch.targets.numel()
    return int(batch.lengths.sum()) * batch.targets[0, 0].numel()


def further_figures(model: nn.Module, task: Task) -> dict[str, float]:
    """Return what the task tells of a model beside its metric; see `Task.further_figures`."""
    with evaluating(model):
        return task.further_figures(model)


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Move a batch to where the model is: at once what lies in pinned memory, without waiting.

    Lengths stay: where they are on the CPU, as `torch.nn.utils.rnn.pack_padded_sequence` takes them, nobody has to wait
    for the device to read them.
    """
    ahead = device.type != "cpu"  # copies to the CPU are read before they would be done
    return batch._replace(
        xs=batch.xs.to(device, non_blocking=ahead), targets=batch.targets.to(device, non_blocking=ahead)
    )


def mapped(change: Callable[[Tensor], Tensor], state: Carried) -> Carried:
    """Change every tensor of a carried state."""
    if state is None:
        return None
    return change(state) if isinstance(state, Tensor) else tuple(mapped(change, part) for part in state)


def detached(state: Carried) -> Carried:
    """Cut a state off from its graph."""
    return mapped(Tensor.detach, state)
