"""Evaluation: loss and metric of a model over the held-out batches."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from rnnkit.model import last_outputs
from rnnkit.task import Batch, Task

Carried: TypeAlias = "Tensor | tuple[Carried, ...] | None"
"""A model's state on its way from one batch to the next, nested as the model likes; None: the initial one."""


class Evaluation(NamedTuple):
    """Loss and metric over the validation batches."""

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


def evaluate(model: nn.Module, task: Task) -> Evaluation:
    """Give loss and metric over the task's validation batches."""
    device = next(model.parameters()).device
    loss = metric = weight = 0.0
    state: Carried = None
    with evaluating(model):
        for batch in task.validation():
            batch = to_device(batch, device)
            outputs, state = model(batch.xs, state if batch.continues else None, lengths=batch.lengths)
            judged = outputs if task.every_step else last_outputs(outputs, batch.lengths)
            count = batch.targets.numel()
            loss += float(task.loss(judged, batch.targets)) * count
            metric += float(task.metric(judged, batch.targets)) * count
            weight += count
    return Evaluation(loss / weight, metric / weight)


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Move a batch to where the model is."""
    lengths = None if batch.lengths is None else batch.lengths.to(device)
    return batch._replace(xs=batch.xs.to(device), targets=batch.targets.to(device), lengths=lengths)
