"""The passes of backpropagation through time: forward and back over one window after another, a state carried on."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rnnkit.core.batch_checks import loss_of, metric_of
from rnnkit.core.task import Batch, Task
from rnnkit.layers.model import Model, last_outputs
from rnnkit.training.divergence import check_gradients, check_loss
from rnnkit.training.evaluation import Carried, detached, mapped, to_device
from rnnkit.training.loss_scaling import LossScaling
from rnnkit.training.process_group import Processes
from rnnkit.training.window_stream import WindowBatch


class Figures(NamedTuple):
    """What one window gave."""

    loss: float
    metric: float
    tokens: int
    """Time steps x rows that the loss is a mean of."""


class Passes:
    """Adds the gradients of one window after another to those of the parameters.

    Args:
        model: maps (xs, state, lengths=) to (outputs, state).
        task: judges the outputs.
        processes: those that learn together; gradients are averaged over them.
        accumulate: windows whose mean loss one update learns from.
        autocast: what to compute in where that is safe; None: in the weights' dtype.
        scaling: of what is differentiated.
    """

    def __init__(
        self,
        model: nn.Module,
        task: Task,
        processes: Processes,
        accumulate: int,
        autocast: torch.dtype | None,
        scaling: LossScaling,
    ) -> None:
        self._model, self._task, self._processes = model, task, processes
        self._parallel = processes.parallel(model)
        self._accumulate, self._autocast, self._scaling = accumulate, autocast, scaling
        # The state before step `at` of the batch at hand, and the one after the last window.
        self._state: Carried = None
        self._at = 0
        self._carried: Carried = None
        self._seen: dict[str, Tensor] = {}

    def add(self, part: WindowBatch, about: str, *, last: bool) -> Figures:
        """Add the gradients of a window; with the `last` one of an update, processes average theirs.

        Raises:
            DivergedError: the loss is not finite; `about` says where.
        """
        with nullcontext() if last else self._processes.no_sync(self._parallel):
            return self._learn(part, about)

    def check(self, about: str, norm: float) -> None:
        """Raise DivergedError unless the gradients' norm is finite; `about` says where."""
        check_gradients(f"{about}: the gradients' norm", norm, self._model, {"the input": self._seen["the input"]})

    def state(self) -> dict[str, Any]:
        """Return the carried states, of all processes together."""
        return {
            "state": self._processes.whole_state(self._state),
            "at": self._at,
            "carried": self._processes.whole_state(self._carried),
        }

    def check_state(self, state: dict[str, Any], rows: int) -> None:
        """Raise ShapeError for states that our own kind of model does not take; others' are their own affair."""
        if not isinstance(self._model, Model):
            return
        like = torch.empty(0, dtype=self._model.readout.weight.dtype, device="cpu")
        with nullcontext() if self._autocast is None else torch.autocast("cpu", self._autocast):
            for carried in (state["state"], state["carried"]):
                if carried is not None:
                    self._model.layer.layout.check(mapped(Tensor.cpu, carried), rows, like)

    def load_state(self, state: dict[str, Any]) -> None:
        """Take what `state` gave: of it, this process's rows, to where the model is."""
        self._state, self._at, self._carried = self._own(state["state"]), state["at"], self._own(state["carried"])

    def _learn(self, part: WindowBatch, about: str) -> Figures:
        batch = to_device(self._processes.share(part.batch, self._task.every_step), self._device)
        window = part.window
        if part.first:
            self._state, self._at = (self._carried if batch.continues else None), 0
        if self._at < window.start:  # where windows overlap, the next runs on from this one's start
            self._state, self._at = self._advance(batch.xs[self._at : window.start]), window.start
        self._seen = {"the input": batch.xs[window.start : window.stop], "the targets": batch.targets}
        with self._casting():
            outputs, after = self._parallel(self._seen["the input"], self._state, lengths=batch.lengths)
        outputs, targets = self._judged(part, batch, outputs)
        loss = loss_of(self._task, outputs, targets)
        check_loss(f"{about}: the loss", loss.detach(), self._model, {**self._seen, "the output": outputs})
        self._scaling.scaled(loss / self._accumulate).backward()  # type: ignore[no-untyped-call]
        self._carried = detached(after)
        if part.following is not None and part.following.start == window.stop:
            self._state, self._at = self._carried, window.stop
        shape = targets.shape if self._task.every_step else batch.xs.shape
        with torch.no_grad():
            metric = float(metric_of(self._task, loss.detach(), outputs.detach(), targets))
        return Figures(loss.item(), metric, shape[0] * shape[1] * self._processes.size)

    def _judged(self, part: WindowBatch, batch: Batch, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return those outputs of a window that the loss is taken of, and their targets."""
        outputs = outputs.float() if self._autocast is not None else outputs
        if not self._task.every_step:
            return last_outputs(outputs, batch.lengths), batch.targets
        window = part.window
        if window.loss_from > window.start:  # of all of them no slice, whose gradient would be a copy
            outputs = outputs[window.loss_from - window.start :]
        return outputs, batch.targets[window.loss_from : window.stop]

    def _advance(self, xs: Tensor) -> Carried:
        """Run the model over `xs` for its state alone."""
        with torch.no_grad(), self._casting():
            return detached(self._model(xs, self._state)[1])

    @property
    def _device(self) -> torch.device:
        return next(self._model.parameters()).device

    def _casting(self) -> AbstractContextManager[Any]:
        if self._autocast is None:
            return nullcontext()
        return torch.autocast(self._device.type, self._autocast)

    def _own(self, state: Carried) -> Carried:
        """Return this process's rows of a carried state, where the model is."""
        return mapped(lambda tensor: tensor.to(self._device), self._processes.share_state(state))
