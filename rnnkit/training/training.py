"""Training by backpropagation through time, full or truncated: a generator of Records that can stop and go on."""

import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from rnnkit.checkpoints.own_folder import OwnFolder
from rnnkit.core.task import Task
from rnnkit.errors import UsageError, check_positive, check_seed, check_whole
from rnnkit.support.paths import AnyPath
from rnnkit.training.averaging import averaged
from rnnkit.training.bptt import Passes
from rnnkit.training.clipping import check_clip, clip_gradients
from rnnkit.training.divergence import check_loss
from rnnkit.training.evaluation import Evaluation, evaluate
from rnnkit.training.loss_scaling import LossScaling, check_autocast
from rnnkit.training.optimizers import make_optimizer
from rnnkit.training.process_group import Processes, check_shares
from rnnkit.training.process_random import random_states, set_random_states
from rnnkit.training.record import Record
from rnnkit.training.saving import folder_of, read_training, write_training
from rnnkit.training.schedule import Schedule
from rnnkit.training.state_checks import check_state
from rnnkit.training.truncation import check_truncation
from rnnkit.training.window_stream import Stream, rows_of

BUILT_ALIKE = ("batch_size", "truncate", "lr", "weight_decay", "clip", "clip_by", "accumulate", "warmup", "seed")
"""Arguments that a training which goes on from another one must share."""


class Training:
    """The training of a model on a task: takes updates, and can be saved between any two of them.

    Args:
        model: maps (xs, state, lengths=) to (outputs, state), as `rnnkit.Model` does.
        task: gives batches, loss and metric.
        steps: updates of the weights.
        batch_size: rows B; None: as many as the task's batches have (`Task.fixed_batch_size`), else 32.
        truncate: None: back over the whole batch. (k1, k2): an update every k1 steps, back over k2. A state is
            carried on, detached at the start of each window; windows stay inside a batch. Batches that continue
            each other (`Batch.continues`) carry it from one to the next either way.
        optimizer: "adam", "adamw", "rmsprop", "sgd", or an optimizer that holds the model's parameters (then `lr` and
            `weight_decay` are its own).
        optimizer_options: more keyword arguments of a named one.
        lr: learning rate.
        weight_decay: as the optimizer takes it: decoupled in "adamw", else an L2 penalty.
        clip: a bound on the gradients; None: never.
        clip_by: "norm": gradients are scaled down to that Euclidean norm; "value": each element is cut to it.
        accumulate: windows whose mean loss one update learns from.
        schedule: "constant", "cosine" or "plateau" (needs `validate_every`): see `rnnkit.training.schedule.Schedule`.
        warmup: updates over which the learning rate rises.
        average: decay of an exponential mean of the weights, which is then what validation judges; None: none.
        patience: validations without a better metric before training ends early; None: never.
        autocast: torch.bfloat16 or torch.float16: `torch.autocast` computes in it where that is safe; weights, and what
            a cell adds up in their dtype, keep it. In float16 losses are scaled, and an update whose gradients overflow
            is left out, see `LossScaling`. Validation does without. None: no autocast.
        seed: of the data's order, and of torch for whatever the model draws. The same seed gives the same bits.
        validate_every: updates between validations; None: only at the end.
        processes: those that train together, each on its share of the rows; None: this one alone. See
            `rnnkit.training.process_group.process_group`.

    Raises:
        UsageError: an argument that makes no sense.
    """

    def __init__(
        self,
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
    ) -> None:
        batch_size = rows_of(task) if batch_size is None else batch_size
        for label, count in (("steps", steps), ("batch_size", batch_size), ("accumulate", accumulate)):
            check_whole(label, count)
        for label, optional in (("validate_every", validate_every), ("patience", patience)):
            if optional is not None:
                check_whole(label, optional)
        check_truncation(truncate)
        check_positive("lr", lr)
        check_clip(clip, clip_by)
        if weight_decay != 0:
            check_positive("weight_decay", weight_decay)
        check_autocast(autocast)
        check_seed(seed)
        if validate_every is None and (patience is not None or schedule == "plateau"):
            raise UsageError("patience and the schedule plateau wait for validations; give validate_every too")
        self.processes = processes or Processes()
        check_shares(batch_size, self.processes.size)
        self.model, self.task = model, task
        self.steps, self.validate_every, self.patience = steps, validate_every, patience
        self.optimizer = make_optimizer(optimizer, model, lr, weight_decay, optimizer_options)
        self.schedule = Schedule(schedule, steps, warmup)
        self.averaged = None if average is None else averaged(model, average)
        self.step, self.tokens, self.seconds = 0, 0, 0.0
        self.best: tuple[int, float] | None = None
        """Step and metric of the best validation so far."""
        self.waited = 0
        """Validations since the best one."""
        given = locals()
        self.settings: dict[str, Any] = {name: given[name] for name in BUILT_ALIKE}
        self._scaling = LossScaling(self._device, autocast)
        self._passes = Passes(model, task, self.processes, accumulate, autocast, self._scaling)
        self._clip, self._clip_by = clip, clip_by
        self._accumulate, self._seed = accumulate, seed
        self._stream = Stream(task, batch_size, truncate, seed)
        self._random: dict[str, list[Tensor]] | None = None
        self._folders: dict[str, OwnFolder] = {}

    @property
    def eval_model(self) -> nn.Module:
        """The model that validation judges: the averaged one, where there is one."""
        return self.model if self.averaged is None else self.averaged.module

    @property
    def done(self) -> bool:
        """Whether all steps are taken, or patience has run out."""
        return self.step >= self.steps or (self.patience is not None and self.waited >= self.patience)

    def records(self) -> Iterator[Record]:
        """Take updates until done; the last record has the validation figures."""
        if self.step == 0:
            torch.manual_seed(self._seed + self.processes.rank)
        elif self._random is not None:  # whatever has been drawn since the state was loaded
            self._draw_from(self._random)
        self._random = None
        self.model.train()
        began = time.perf_counter() - self.seconds
        while not self.done:
            loss, metric, norm, rate = self._update()
            self.seconds = time.perf_counter() - began
            validation = self._validate() if self._is_due() else None
            began = time.perf_counter() - self.seconds
            skipped = self._scaling.skipped
            yield Record(self.step, loss, metric, norm, self.tokens, self.seconds, rate, validation, skipped)

    def state(self) -> dict[str, Any]:
        """Return all that training goes on from but the weights: nested values and tensors.

        Tensors are the live ones, not copies: save it before the next update. With several processes it is the same
        whichever gives it, and all must.
        """
        return {
            "step": self.step,
            "tokens": self.tokens,
            "seconds": self.seconds,
            "best": self.best,
            "waited": self.waited,
            "optimizer": {"kind": type(self.optimizer).__name__, **self.optimizer.state_dict()},
            "schedule": self.schedule.state(),
            "averaged": None if self.averaged is None else self.averaged.n_averaged,
            "stream": self._stream.state(),
            **self._passes.state(),
            **self._scaling.state(),
            "random": random_states(self.processes, self._device),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Take what `state` gave; the weights, averaged ones too, must have been loaded into the models.

        Raises:
            KeyError, ValueError, TypeError, RuntimeError: it is the state of another training, or none.
        """
        check_state(state, self.state(), self.optimizer, self._accumulate)
        self._stream.load_state(state["stream"])
        self._passes.check_state(state, self._stream.rows)
        self.optimizer.load_state_dict({name: value for name, value in state["optimizer"].items() if name != "kind"})
        self.step, self.tokens, self.seconds = state["step"], state["tokens"], state["seconds"]
        self.best, self.waited = state["best"], state["waited"]
        self.schedule.load_state(state["schedule"])
        if self.averaged is not None:
            self.averaged.n_averaged.copy_(state["averaged"])
        self._passes.load_state(state)
        self._scaling.load_state(state)
        self._random = state["random"]
        self._draw_from(state["random"])

    def save(self, path: AnyPath) -> None:
        """Write a checkpoint of the step that training is at: whole or not at all, the last two and the best kept.

        A process may be killed at any moment: a training that is built alike and has resumed goes on from the last
        checkpoint to the same bits. Processes that train together must all call it.

        Args:
            path: a folder, which is made with the first checkpoint.

        Raises:
            CheckpointError: the folder holds a step that this training has neither saved nor resumed from, or another
                process is writing there.
            ResourceError: the disk or folder takes no more; the checkpoints before are intact.
        """
        write_training(folder_of(self._folders, path), self)

    def resume(self, path: AnyPath) -> int:
        """Go on from the newest intact checkpoint in a folder; return its step, 0 where nothing has been saved yet.

        What came after it is removed; what is damaged, and what differs from where it was made, is told to the log.

        Raises:
            CheckpointError: it is not of a training that is built alike, or none is intact, or another process is
                writing there.
            DataError: the data are others.
        """
        return read_training(folder_of(self._folders, path), self)

    def _update(self) -> tuple[float, float, float, float]:
        """Update the weights once; return loss, metric, gradient norm and learning rate."""
        self.step += 1
        rate = self._set_rate()
        self.optimizer.zero_grad(set_to_none=True)
        figures = [
            self._passes.add(part, f"step {self.step}", last=number == self._accumulate)
            for number, part in enumerate(islice(self._stream, self._accumulate), 1)
        ]
        self.tokens += sum(window.tokens for window in figures)
        norm = self._apply_gradients()
        totals = (sum(window.loss for window in figures), sum(window.metric for window in figures))
        loss, metric = self.processes.mean(*(total / len(figures) for total in totals))
        return loss, metric, norm, rate

    def _apply_gradients(self) -> float:
        """Clip the gradients and let the optimiser use them; return their norm before that.

        One that is not finite the optimiser never sees: the update is left out where losses are scaled, else it raises.
        """
        self._scaling.unscale(self.optimizer)
        parameters = [parameter for parameter in self.model.parameters() if parameter.grad is not None]
        norm = float(nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None]))
        if self._scaling.skips(norm):
            return norm
        self._passes.check(f"step {self.step}", norm)
        if self._clip is not None:
            clip_gradients(parameters, norm, self._clip, self._clip_by)
        self.optimizer.step()
        if self.averaged is not None:
            self.averaged.update_parameters(self.model)
        return norm

    def _set_rate(self) -> float:
        """Set the learning rate of this update, unless nothing is scheduled: then it is the optimizer's own."""
        groups = self.optimizer.param_groups
        if self.schedule.name != "constant" or self.schedule.warmup:
            for group in groups:
                group["lr"] = group.setdefault("initial_lr", group["lr"]) * self.schedule.factor(self.step)
        return float(groups[0]["lr"])

    def _is_due(self) -> bool:
        """Whether a validation comes after this update."""
        return self.step == self.steps or (self.validate_every is not None and self.step % self.validate_every == 0)

    def _validate(self) -> Evaluation:
        """Validate, and take note of what it says; raise if the last update has spoilt the model."""
        figures = Evaluation(*self.processes.broadcast(*evaluate(self.eval_model, self.task)))
        check_loss(f"step {self.step}: the validation loss", figures.loss, self.eval_model, {})
        self.schedule.observe(figures.loss)
        sign = -1 if self.task.higher_is_better else 1
        self.waited += 1
        if self.best is None or sign * figures.metric < sign * self.best[1]:
            self.best, self.waited = (self.step, figures.metric), 0
        return figures

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device

    def _draw_from(self, states: dict[str, list[Tensor]]) -> None:
        set_random_states(states, self.processes, self._device, self._seed)
