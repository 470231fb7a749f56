"""The gradient of a loss with respect to the state before every step."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from rnnkit.core.cell import State
from rnnkit.errors import UsageError
from rnnkit.inspection.coordinates import differentiable, real
from rnnkit.inspection.passage import CellRun, Passage, Visitor, check_states, traverse
from rnnkit.inspection.study import Study
from rnnkit.inspection.subject import Part


class Apart(Visitor):
    """Makes each state a tensor of its own, so that a gradient is that of what is carried on, and of nothing else.

    A cell may return as its state what is its output too, or twice the same tensor, or what it was given.
    """

    def before(self, part: Part, step: int, state: State) -> State:
        """Return the state by itself, requiring gradients."""
        return tuple(map(_apart, state))


def _apart(tensor: Tensor) -> Tensor:
    if not differentiable(tensor):
        return tensor
    return tensor.view_as(tensor) if tensor.requires_grad else tensor.detach().requires_grad_()


class StateGradients(NamedTuple):
    """What the gradient of a loss is at every state of one cell."""

    run: CellRun
    gradients: list[State]
    """As `run.states`, without those that are integers: T + 1, the last one the state after the last step."""
    names: list[str]
    """Of the tensors that have gradients."""

    def norms(self) -> Tensor:
        """Return the norm of each tensor's gradient in each row: (T + 1, tensors, B), in float64."""
        return torch.stack([torch.stack([real(t).double().norm(dim=1) for t in state]) for state in self.gradients])


def state_gradients(study: Study) -> tuple[Passage, list[StateGradients]]:
    """Return a passage and the gradient of the study's loss at the last step, for every state of every cell.

    Raises:
        UsageError: a cell has no state with derivatives, or the loss is no scalar.
    """
    check_states(study.subject)
    passage = traverse(study.subject, study.xs.detach(), Apart())
    loss = scalar(study.last_loss()(passage.outputs))
    flat = [t for run in passage.runs for state in run.states for t in state if differentiable(t)]
    computed = iter(gradients_of(loss, flat))
    return passage, [_of_run(run, computed) for run in passage.runs]


def _of_run(run: CellRun, computed: Iterator[Tensor]) -> StateGradients:
    gradients = [tuple(next(computed) for t in state if differentiable(t)) for state in run.states]
    labels = zip(run.part.state_labels(), run.states[0], strict=True)
    return StateGradients(run, gradients, [name for name, t in labels if differentiable(t)])


def gradients_of(loss: Tensor, tensors: list[Tensor]) -> list[Tensor]:
    """Return the gradient of a scalar with respect to each tensor; zeros where it does not depend on one."""
    if not loss.requires_grad:
        return [torch.zeros_like(tensor) for tensor in tensors]
    computed = torch.autograd.grad(loss, tensors, allow_unused=True)
    return [
        torch.zeros_like(tensor) if gradient is None else gradient
        for tensor, gradient in zip(tensors, computed, strict=True)
    ]


def scalar(loss: Tensor) -> Tensor:
    """Return the loss back; raises UsageError unless it is one real number."""
    if not isinstance(loss, Tensor) or loss.numel() != 1 or not loss.is_floating_point():
        shape = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
        raise UsageError(f"the loss is {shape}; it must be one real number, so end it with .sum() or .mean()")
    return loss.sum()
