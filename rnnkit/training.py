"""Training by backpropagation through time, full or truncated, as a generator of Records."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import torch
from torch import Tensor, nn

from rnnkit.errors import DivergedError, UsageError, check_whole, nearest
from rnnkit.evaluation import Carried, Evaluation, evaluate, to_device
from rnnkit.model import last_outputs
from rnnkit.task import Batch, Task
from rnnkit.truncation import Window, check_truncation, windows

REMEDY = "lower the learning rate or clip"
OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}


@dataclass(frozen=True)
class Record:
    """What one update of the weights did."""

    step: int
    """Updates so far, this one included."""
    loss: float
    """Mean loss of the steps that this update learnt from, before it."""
    metric: float
    """The task's metric over the same."""
    gradient_norm: float
    """Euclidean norm over all parameters, before clipping."""
    tokens: int
    """Time steps x rows learnt from so far."""
    seconds: float
    """Since training began, validation left out."""
    validation: Evaluation | None = None
    """On the steps where it is due."""


def train(
    model: nn.Module,
    task: Task,
    *,
    steps: int,
    batch_size: int = 32,
    truncate: tuple[int, int] | None = None,
    optimizer: str | torch.optim.Optimizer = "adam",
    lr: float = 1e-3,
    clip: float | None = 1.0,
    seed: int = 0,
    validate_every: int | None = None,
) -> Iterator[Record]:
    """Train `model` on `task` by BPTT; a Record after every update, the last one with the validation figures.

    Arguments are checked at the call; training goes on as records are taken.

    Args:
        model: maps (xs, state, lengths=) to (outputs, state), as `rnnkit.Model` does.
        task: gives batches, loss and metric.
        steps: updates of the weights.
        batch_size: rows B.
        truncate: None: back over the whole batch. (k1, k2): an update every k1 steps, back over k2. A state is
            carried on, detached at the start of each window; windows stay inside a batch. Batches that continue
            each other (`Batch.continues`) carry it from one to the next either way.
        optimizer: "adam", "sgd", or an optimizer that holds the model's parameters (then `lr` is its own).
        lr: learning rate.
        clip: gradients are scaled down to this norm; None: never.
        seed: of the data's order, and of torch for whatever the model draws. The same seed gives the same bits.
        validate_every: updates between validations; None: only at the end.

    Raises:
        UsageError: an argument that makes no sense.
        DivergedError: a loss or gradient is not finite, naming the first tensor at fault; the weights are those
            before that update.
    """
    check_whole("steps", steps)
    check_whole("batch_size", batch_size)
    if validate_every is not None:
        check_whole("validate_every", validate_every)
    check_truncation(truncate)
    check_positive("lr", lr)
    if clip is not None:
        check_positive("clip", clip)
    check_seed(seed)
    learner = _Learner(model, task, make_optimizer(optimizer, model, lr), clip)
    return _train(learner, batch_size, truncate, seed, steps, validate_every)


def _train(
    learner: "_Learner",
    batch_size: int,
    truncate: tuple[int, int] | None,
    seed: int,
    steps: int,
    validate_every: int | None,
) -> Iterator[Record]:
    torch.manual_seed(seed)
    learner.model.train()
    began, validating = time.perf_counter(), 0.0
    updates = learner.updates(batch_size, truncate, torch.Generator().manual_seed(seed))
    for step, (loss, metric, norm) in enumerate(updates, start=1):
        seconds = time.perf_counter() - began - validating
        due = step == steps or (validate_every is not None and step % validate_every == 0)
        validation = learner.evaluate() if due else None
        validating = time.perf_counter() - began - seconds
        yield Record(step, loss, metric, norm, learner.tokens, seconds, validation)
        if step == steps:
            return


class _Learner:
    """Walks over batches and windows, updating the weights; the state goes from each to the next, without its graph."""

    def __init__(self, model: nn.Module, task: Task, optimizer: torch.optim.Optimizer, clip: float | None) -> None:
        self.model = model
        self.task = task
        self.optimizer = optimizer
        self.clip = clip
        self.tokens = 0
        self.step = 0

    def updates(
        self, batch_size: int, truncate: tuple[int, int] | None, generator: torch.Generator
    ) -> Iterator[tuple[float, float, float]]:
        """Update once a window, without end; gives loss, metric and gradient norm."""
        device = next(self.model.parameters()).device
        carried: Carried = None
        for batch in self.task.batches(batch_size, generator):
            if batch.lengths is not None and truncate is not None:
                raise UsageError(
                    f"task {self.task.name!r} gives rows of different lengths; truncated BPTT does not take them yet"
                )
            batch = to_device(batch, device)
            cut = windows(len(batch.xs), truncate, self.task.every_step)
            # `state` is the one before step `at`; where windows overlap, the next runs on from this one's start.
            state, at = (carried if batch.continues else None), 0
            for window, following in zip_longest(cut, cut[1:]):
                if at < window.start:
                    state, at = self._advance(batch.xs[at : window.start], state), window.start
                carried, figures = self._update(batch, window, state)
                yield figures
                if following is not None and following.start == window.stop:
                    state, at = carried, window.stop

    def _advance(self, xs: Tensor, state: Carried) -> Carried:
        """Run the model over `xs` for its state alone."""
        with torch.no_grad():
            return detached(self.model(xs, state)[1])

    def _update(self, batch: Batch, window: Window, state: Carried) -> tuple[Carried, tuple[float, float, float]]:
        """Learn from one window; gives the state after it and loss, metric, gradient norm."""
        self.step += 1
        self.optimizer.zero_grad(set_to_none=True)
        xs, targets = batch.xs[window.start : window.stop], batch.targets
        outputs, after = self.model(xs, state, lengths=batch.lengths)
        if self.task.every_step:
            targets = targets[window.loss_from : window.stop]
            judged = outputs[window.loss_from - window.start :]
            self.tokens += targets.shape[0] * targets.shape[1]
        else:
            judged = last_outputs(outputs, batch.lengths)
            self.tokens += batch.xs.shape[0] * batch.xs.shape[1]
        loss = self.task.loss(judged, targets)
        self._check_loss(loss, {"the input": xs, "the targets": targets, "the output": outputs})
        loss.backward()  # type: ignore[no-untyped-call]
        norm = self._check_gradients(xs)
        self.optimizer.step()
        with torch.no_grad():
            metric = float(self.task.metric(judged.detach(), targets))
        return detached(after), (loss.item(), metric, norm)

    def _check_loss(self, loss: Tensor, tensors: dict[str, Tensor]) -> None:
        if not bool(torch.isfinite(loss)):
            named = [*self.model.named_parameters(), *tensors.items()]
            raise DivergedError(f"step {self.step}: the loss is {loss.item()}; {_fault(named)}; {REMEDY}")

    def evaluate(self) -> Evaluation:
        """Validate; raise if the last update has spoilt the model."""
        figures = evaluate(self.model, self.task)
        if not math.isfinite(figures.loss):
            fault = _fault(list(self.model.named_parameters()))
            raise DivergedError(f"step {self.step}: the validation loss is {figures.loss}; {fault}; {REMEDY}")
        return figures

    def _check_gradients(self, xs: Tensor) -> float:
        """Clip, and raise before the optimiser sees a gradient that is not finite; gives the norm before clipping."""
        parameters = [parameter for parameter in self.model.parameters() if parameter.grad is not None]
        limit = math.inf if self.clip is None else self.clip
        norm = float(nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None]))
        if not math.isfinite(norm):
            named = [("the input", xs)]
            named += [
                (f"the gradient of {name}", parameter.grad)
                for name, parameter in self.model.named_parameters()
                if parameter.grad is not None
            ]
            raise DivergedError(f"step {self.step}: the gradients' norm is {norm}; {_fault(named)}; {REMEDY}")
        if norm > limit:
            nn.utils.clip_grads_with_norm_(parameters, limit, torch.tensor(norm))
        return norm


def detached(state: Carried) -> Carried:
    """Cut a state off from its graph."""
    if state is None:
        return None
    return state.detach() if isinstance(state, Tensor) else tuple(detached(part) for part in state)


def make_optimizer(optimizer: str | torch.optim.Optimizer, model: nn.Module, lr: float) -> torch.optim.Optimizer:
    """Give the optimizer that a name stands for, over the model's parameters."""
    if isinstance(optimizer, torch.optim.Optimizer):
        return optimizer
    if optimizer not in OPTIMIZERS:
        raise UsageError(
            f"unknown optimizer {optimizer!r}{nearest(optimizer, OPTIMIZERS)}; there are {', '.join(OPTIMIZERS)}"
        )
    return OPTIMIZERS[optimizer](model.parameters(), lr=lr)  # type: ignore[call-arg]


def check_positive(label: str, value: float) -> None:
    """Raise UsageError unless `value` is a finite number above zero."""
    if not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise UsageError(f"{label} is {value!r}; it must be a finite number > 0")


def check_seed(seed: int) -> None:
    """Raise UsageError unless torch takes `seed`."""
    if type(seed) is not int or not 0 <= seed < 2**63:
        raise UsageError(f"seed is {seed!r}; it must be a whole number from 0 to 2**63 - 1")


def _fault(named: Sequence[tuple[str, Tensor]]) -> str:
    """Name the first tensor that is not finite and its first such element; else the largest, which overflowed."""
    real = [(name, tensor.detach()) for name, tensor in named if tensor.is_floating_point() and tensor.numel()]
    for name, tensor in real:
        bad = (~torch.isfinite(tensor)).nonzero()
        if len(bad):
            index = bad[0].tolist()
            return f"the first tensor at fault is {name} {index} = {tensor[tuple(index)].item()}"
    name, tensor = max(real, key=lambda pair: float(pair[1].abs().max()))
    return f"all is finite, but {name} reaches {float(tensor.abs().max()):.1e}"
