"""What training takes, predicted: what stays, and the peaks of an update and of validation."""

from dataclasses import dataclass
from functools import cached_property
from inspect import signature
from itertools import chain
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rnnkit.core.task import Batch, Task
from rnnkit.core.unroller import Unroller
from rnnkit.errors import ResourceError, check_whole
from rnnkit.memory.gauge import gauge_of
from rnnkit.memory.linear_fit import Curves
from rnnkit.memory.replaying import layers_of, replays_of, unrolled_by
from rnnkit.memory.trial import Trials
from rnnkit.training.optimizers import make_optimizer
from rnnkit.training.truncation import check_truncation


class Held(NamedTuple):
    """A validation batch: rows, steps, and its own bytes."""

    rows: int
    steps: int
    batch: int


@dataclass(frozen=True)
class Prediction:
    """The memory of training at its peak, in bytes."""

    parameters: int
    """Buffers included."""
    gradients: int
    optimizer: int
    """What it keeps between updates: twice the parameters for adam."""
    batch: int
    """Inputs and targets of the whole sequence."""
    window: int
    """What else an update takes: states, graph, readout and loss, and what comes and goes in the backward pass."""
    validation: int
    """What else a pass over one validation batch takes, the batch included."""
    rows: int
    """Of a batch."""
    steps: int
    """Of a window."""
    full_steps: int
    """Of a sequence."""
    validation_rows: int
    """Of the first validation batch."""
    validation_steps: int
    truncate: tuple[int, int] | None
    unroller: str
    runs: float
    """How often each step is run forward: 1 unless the unroller replays; infinite: too often to have been counted."""

    @property
    def fixed(self) -> int:
        """What stays between updates: parameters, gradients and the optimiser's state."""
        return self.parameters + self.gradients + self.optimizer

    @property
    def update(self) -> int:
        """The most that is in use at once in an update."""
        return self.fixed + self.batch + self.window

    @property
    def validating(self) -> int:
        """The most that is in use at once in validation."""
        return self.fixed + self.validation

    @property
    def total(self) -> int:
        """The most that is in use at once."""
        return max(self.update, self.validating)


def predict(
    model: nn.Module,
    task: Task,
    *,
    batch_size: int = 32,
    truncate: tuple[int, int] | None = None,
    optimizer: str | torch.optim.Optimizer = "adam",
) -> Prediction:
    """Predict the memory that `rnnkit.train` will take with the same arguments, from trials of a few steps and rows.

    The model, its gradients and buffers, and all random states are left as they are. What Python, torch and its
    libraries take for themselves is not in it, nor what allocators keep of freed memory.

    Raises:
        UsageError: an argument that makes no sense.
        ResourceError: memory in use cannot be counted here: on the CPU it takes glibc.
    """
    return Predictor(model, task, optimizer).predict(batch_size, truncate)


class Predictor:
    """Predicts for a model and a task in different batches, windows and unrollers; trials are made when needed, once.

    Args:
        model: as in `rnnkit.train`, on the device where it will be trained.
        task: what it will learn.
        optimizer: as in `rnnkit.train`.

    Raises:
        ResourceError: memory in use cannot be counted here.
    """

    def __init__(self, model: nn.Module, task: Task, optimizer: str | torch.optim.Optimizer = "adam") -> None:
        self.model, self.task = model, task
        self.first = next(model.parameters())
        gauge = gauge_of(self.first.device)
        if gauge is None:
            raise ResourceError(
                f"memory in use on {self.first.device} cannot be counted here, so none can be predicted; "
                "on the CPU it takes glibc"
            )
        self.row = task.batch(1, torch.Generator().manual_seed(0))
        learnt = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.parameters = sum(tensor.nbytes for tensor in chain(model.parameters(), model.buffers()))
        self.gradients = sum(parameter.nbytes for parameter in learnt)
        self.optimizer = round(kept_by(make_optimizer(optimizer, model, 1e-3)) * self.gradients)
        # Two results of the size of a parameter, while it is updated.
        self.updating = self.gradients + 2 * max((parameter.nbytes for parameter in learnt), default=0)
        self._curves = Curves(Trials(model, task, self.row, gauge), self.gradients)

    @property
    def fixed(self) -> int:
        """What stays between updates; no trial is needed for that."""
        return self.parameters + self.gradients + self.optimizer

    def predict(
        self, batch_size: int = 32, truncate: tuple[int, int] | None = None, unroller: Unroller | None = None
    ) -> Prediction:
        """Predict for so many rows, windows as in `rnnkit.train` and, if given, another unroller in all layers."""
        check_whole("batch_size", batch_size)
        check_truncation(truncate)
        full = len(self.row.xs)
        k1, k2 = truncate or (full, full)
        steps, judged = min(k2, full), min(k1, full)
        with unrolled_by(self.model, unroller):
            replays = replays_of(self.model, batch_size, steps)
            peak = self._curves.update(batch_size, steps, judged / steps, replays)
            # What a window's state takes that begins later in the sequence, by running up to it.
            ahead = full - steps if not self.task.every_step else min(k1, full) if steps < full else 0
            peak = max(peak, self.updating, self.gradients + self._curves.still(batch_size, ahead))
            rows, length, held = self._validation
            return Prediction(
                *(self.parameters, self.gradients, self.optimizer),
                batch=bytes_of(self.row) * batch_size,
                window=peak - self.gradients,
                validation=self._curves.still(rows, length) + held,
                rows=batch_size,
                steps=steps,
                full_steps=full,
                validation_rows=rows,
                validation_steps=length,
                truncate=truncate,
                unroller=", ".join(dict.fromkeys(str(layer.unroller) for layer in layers_of(self.model))),
                runs=replays.runs,
            )

    @cached_property
    def _validation(self) -> Held:
        """Return rows, steps and bytes of a validation batch."""
        if type(self.task).validation is Task.validation:  # by the rows that it asks for, none of which are drawn
            asked: Any = SimpleNamespace(batch=lambda size, generator: size)
            rows: Any = next(Task.validation(asked))
            return Held(rows, len(self.row.xs), bytes_of(self.row) * rows)
        batch = next(iter(self.task.validation()), self.row)
        return Held(batch.xs.shape[1], len(batch.xs), bytes_of(batch))


def kept_by(optimizer: torch.optim.Optimizer) -> float:
    """Measure how many numbers an optimiser keeps for each that it updates, by letting its like update a few."""
    parameter = nn.Parameter(torch.zeros(8, 8))
    parameter.grad = torch.zeros_like(parameter)
    taken = signature(type(optimizer)).parameters
    like = type(optimizer)([parameter], **{key: value for key, value in optimizer.defaults.items() if key in taken})
    like.step()
    kept = [value for value in like.state[parameter].values() if isinstance(value, Tensor) and value.ndim]
    return sum(tensor.numel() for tensor in kept) / parameter.numel()


def bytes_of(batch: Batch) -> int:
    """Return the bytes of inputs and targets."""
    return batch.xs.nbytes + batch.targets.nbytes
