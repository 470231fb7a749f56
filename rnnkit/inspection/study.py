"""The study: the subject, the inputs and the loss with which every function of this room begins."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from rnnkit.core.batch_checks import check_batch, loss_of
from rnnkit.core.cell import behaves_as_tensor
from rnnkit.core.task import Batch, Task
from rnnkit.errors import KindError, ShapeError, UsageError, check_seed, check_whole
from rnnkit.inspection.coordinates import integer_states, real
from rnnkit.inspection.passage import embedded, own_last_steps
from rnnkit.inspection.subject import Subject, subject_of
from rnnkit.inspection.wording import count, listed
from rnnkit.support.random_states import drawn_apart, gpus_in_use

LossLike: TypeAlias = Callable[[Tensor], Tensor] | None


class Drawn(NamedTuple):
    """What is drawn where it is not given."""

    steps: int
    """T of the inputs."""
    batch_size: int
    """B of the inputs."""
    seed: int
    """Of all random numbers."""
    options: dict[str, Any]
    """Of a cell that is given by name or class; `input_size` and `hidden_size` too."""


class Study(NamedTuple):
    """What is inspected, on what, and what it is judged by."""

    subject: Subject
    inputs: Tensor
    """(T, B, D), or symbols (T, B)."""
    generator: torch.Generator
    """Whence all further random numbers come."""
    notes: tuple[str, ...]
    task: Task | None = None
    targets: Tensor | None = None
    loss: LossLike = None

    @property
    def xs(self) -> Tensor:
        """What the first layer takes: (T, B, D)."""
        return embedded(self.subject, self.inputs)

    def last_loss(self) -> Callable[[Tensor], Tensor]:
        """Return the loss at the last step, from outputs (T, B, O).

        The task's; or the caller's, which sees all outputs; or the sum of each direction's last output times a fixed
        random vector.
        """
        return self.loss or (self._random_loss() if self.task is None else lambda outputs: self.task_loss(outputs, 1))

    def task_loss(self, outputs: Tensor, last: int | None = None) -> Tensor:
        """Return the task's loss at the last steps, None: at all that have a target, from outputs up to the end."""
        assert self.task is not None
        assert self.targets is not None
        if not self.task.every_step:
            return loss_of(self.task, outputs[-1], self.targets)
        last = len(outputs) if last is None else last
        return loss_of(self.task, outputs[-last:], self.targets[-last:])

    def _random_loss(self) -> Callable[[Tensor], Tensor]:
        drawn: list[Tensor] = []

        def loss(outputs: Tensor) -> Tensor:
            ys = real(own_last_steps(self.subject, outputs))
            if not drawn:
                drawn.append(torch.randn(ys.shape[1:], generator=self.generator, dtype=torch.float64).to(ys))
            return (ys * drawn[0]).sum()

        return loss


@contextmanager
def undisturbed(seed: int) -> Iterator[None]:
    """Let torch's generators and its gradient mode be our own for a while, whatever the caller has set."""
    with drawn_apart(), torch.inference_mode(False), torch.enable_grad():
        # Not by `torch.manual_seed`, which would seed a GPU that is first used after us.
        torch.default_generator.manual_seed(seed)
        if gpus_in_use():
            torch.cuda.manual_seed_all(seed)
        yield


@contextmanager
def studying(
    given: Any,
    inputs: Any,
    drawn: Drawn,
    *,
    task: Task | None = None,
    batch: Batch | None = None,
    loss: LossLike = None,
) -> Iterator[Study]:
    """Prepare a study; for its time torch's generators, gradient mode and automatic casts are this study's own.

    Args:
        given: the subject: a cell's name, a Cell class or instance, an RNN or a Model.
        inputs: as the subject takes them; None: drawn.
        drawn: what is drawn, and how.
        task: judges the outputs of a Model.
        batch: of the task; None: one that it draws.
        loss: takes the outputs (T, B, O) and returns a scalar.

    Raises:
        UsageError: an argument that cannot be honoured.
    """
    check_whole("steps", drawn.steps)
    check_whole("batch_size", drawn.batch_size)
    check_seed(drawn.seed)
    _check_loss(task, batch, loss, inputs)
    with ExitStack() as stack:
        stack.enter_context(undisturbed(drawn.seed))
        subject = subject_of(given, dict(drawn.options))
        stack.enter_context(torch.autocast(subject.like.device.type, enabled=False))
        generator = torch.Generator().manual_seed(drawn.seed)
        study = Study(subject, torch.empty(0), generator, tuple(_notes(subject)), loss=loss)
        if task is not None:
            yield _of_task(study, task, batch, drawn.batch_size)
        else:
            yield study._replace(inputs=_inputs(study, inputs, drawn.steps, drawn.batch_size))


def _check_loss(task: Task | None, batch: Batch | None, loss: LossLike, inputs: Any) -> None:
    if task is not None and not isinstance(task, Task):
        raise KindError(f"the task is a {type(task).__name__}; give an instance, such as rnnkit.tasks[NAME]()")
    if batch is not None and task is None:
        raise UsageError("a batch goes with the task that judges it; give task= as well, or its inputs and loss=")
    if task is not None and (loss is not None or inputs is not None):
        raise UsageError("a task brings its own loss and inputs; give task= and batch=, or inputs and loss=")
    if loss is not None and not callable(loss):
        raise KindError(f"the loss is a {type(loss).__name__}; give a function of the outputs (T, B, O)")


def _notes(subject: Subject) -> Iterator[str]:
    for part in subject.parts:
        if part.cell.straight_through:
            yield f"{part.label}: its gradients are on purpose not the derivatives of its step."


def states_left_out(subject: Subject) -> Iterator[str]:
    """Yield a sentence for each cell with states that are no real or complex numbers, which have no derivative."""
    for part in subject.parts:
        names = integer_states(part.cell)
        if names:
            yield f"{part.label}: state {listed(names)} holds no real or complex numbers and is left out."


def _of_task(study: Study, task: Task, batch: Batch | None, batch_size: int) -> Study:
    """Take inputs and targets from a batch of a task's; of its rows those that run to the end."""
    subject = study.subject
    if subject.readout is None:
        raise UsageError(f"task {task.name!r} judges a Model; {subject.label} has no readout, so give loss= instead")
    batch = check_batch(task, task.batch(batch_size, study.generator) if batch is None else batch)
    if (subject.embedding is not None) != task.symbols:
        kinds = ("numbers", "symbols")
        raise UsageError(
            f"task {task.name!r} gives {kinds[task.symbols]}, the model takes {kinds[not task.symbols]}; "
            "give the task that it was built for"
        )
    whole = longest_rows(task, batch)
    rest, notes = batch.xs.shape[1] - whole.xs.shape[1], study.notes
    if rest:
        notes += (f"{count(rest, 'row')} of the batch, shorter than {count(len(whole.xs), 'step')}, left out.",)
    device = subject.like.device
    inputs = _checked(subject, whole.xs.to(device))
    return study._replace(inputs=inputs, targets=whole.targets.to(device), task=task, notes=notes)


def longest_rows(task: Task, batch: Batch) -> Batch:
    """Return the rows of a batch that run to its end, without the steps that none of them has."""
    if batch.lengths is None:
        return batch
    longest = int(batch.lengths.max())
    rows = (batch.lengths == longest).nonzero().flatten().to(batch.xs.device)
    targets = batch.targets[:longest, rows] if task.every_step else batch.targets[rows]
    return Batch(batch.xs[:longest, rows], targets)


def _inputs(study: Study, inputs: Any, steps: int, batch_size: int) -> Tensor:
    """Return the caller's inputs, time first, or draw some."""
    subject, generator = study.subject, study.generator
    if inputs is None and subject.embedding is not None:
        symbols = torch.randint(subject.embedding.num_embeddings, (steps, batch_size), generator=generator)
        return symbols.to(subject.like.device)
    if inputs is None:
        drawn = torch.randn(steps, batch_size, subject.input_size, generator=generator, dtype=torch.float64)
        return drawn.to(subject.like)
    if not behaves_as_tensor(inputs):
        try:
            inputs = torch.as_tensor(inputs)
        except (TypeError, ValueError, RuntimeError):
            kind = type(inputs).__name__
            raise KindError(f"the inputs are a {kind}; give a tensor (time, batch, features)") from None
    inputs = inputs.detach().to(subject.like.device)
    if inputs.ndim == (1 if subject.embedding is not None else 2):
        inputs = inputs.unsqueeze(1)
    elif subject.batch_first:
        inputs = inputs.transpose(0, 1)
    return _checked(subject, inputs)


def _checked(subject: Subject, inputs: Tensor) -> Tensor:
    """Return inputs in the subject's dtype; raises ShapeError unless they are what it takes."""
    symbols = subject.embedding is not None
    if inputs.ndim != (2 if symbols else 3) or 0 in inputs.shape[:2]:
        form = "(time, batch) symbols" if symbols else f"(time, batch, {subject.input_size})"
        raise ShapeError(f"{subject.label}: the inputs have shape {tuple(inputs.shape)}; they must be {form}")
    if subject.embedding is None:
        return inputs if inputs.is_complex() else inputs.to(subject.like.dtype)
    size = subject.embedding.num_embeddings
    if inputs.is_floating_point() or inputs.is_complex() or inputs.dtype == torch.bool:
        raise ShapeError(f"{subject.label}: the inputs are {inputs.dtype}; they must be symbols, whole numbers")
    least, most = map(int, inputs.aminmax())
    if least < 0 or most >= size:
        raise ShapeError(f"{subject.label}: symbols run from {least} to {most}; they must be from 0 to {size - 1}")
    return inputs
