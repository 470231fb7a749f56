"""Training in one call: a generator of Records."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from rnnkit.core.task import Task
from rnnkit.training.process_group import Processes
from rnnkit.training.record import Record
from rnnkit.training.training import Training


def train(
    model: nn.Module,
    task: Task,
    *,
    steps: int,
    batch_size: int | None = None,
    truncate: tuple[int, int] | None = None,
    optimizer: str | torch.optim.Optimizer = "adam",
    optimizer_options: dict[str, Any] | None = None,
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    clip: float | None = 1.0,
    clip_by: str = "norm",
    accumulate: int = 1,
    schedule: str = "constant",
    warmup: int = 0,
    average: float | None = None,
    patience: int | None = None,
    autocast: torch.dtype | None = None,
    seed: int = 0,
    validate_every: int | None = None,
    processes: Processes | None = None,
) -> Iterator[Record]:
    """Train `model` on `task` by BPTT; a Record after every update, the last one with the validation figures.

    Arguments are those of `rnnkit.Training`, which says what each does. They are checked at the call; training goes on
    as records are taken.

    Raises:
        UsageError: an argument that makes no sense.
        DivergedError: a loss or gradient is not finite, naming the first tensor at fault; the weights are those
            before that update.
    """
    return Training(
        model,
        task,
        steps=steps,
        batch_size=batch_size,
        truncate=truncate,
        optimizer=optimizer,
        optimizer_options=optimizer_options,
        lr=lr,
        weight_decay=weight_decay,
        clip=clip,
        clip_by=clip_by,
        accumulate=accumulate,
        schedule=schedule,
        warmup=warmup,
        average=average,
        patience=patience,
        autocast=autocast,
        seed=seed,
        validate_every=validate_every,
        processes=processes,
    ).records()
