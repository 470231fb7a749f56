"""Truncation bias: how far the gradient of truncated BPTT is from that of the whole."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnnkit.core.cell import State
from rnnkit.core.task import Batch, Task
from rnnkit.errors import UsageError, check_whole
from rnnkit.inspection.backward import gradients_of, scalar
from rnnkit.inspection.coordinates import real
from rnnkit.inspection.passage import Visitor, traverse
from rnnkit.inspection.result import Inspection, Numbers
from rnnkit.inspection.study import Drawn, Study, studying
from rnnkit.inspection.subject import Part
from rnnkit.inspection.wording import count, number
from rnnkit.support.figures import COLOURS, legend_below, line_style

ENOUGH = 0.99
"""The cosine from which on a truncated gradient is called as good as the whole."""

LEAST_SHOWN = 0.05
"""Of a picture above and below 1."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TruncationBias(Inspection):
    """Truncated gradients against the whole; see `truncation_bias`."""

    title = "Truncated BPTT"

    windows: Numbers
    """Steps of a window (K,), the last one all of them."""
    cosine: Numbers
    """Of the angle between the truncated gradient and the whole, over all parameters (K,)."""
    norm_ratio: Numbers
    """The norm of the truncated gradient by that of the whole (K,)."""

    @property
    def enough(self) -> int:
        """The shortest window from which on the cosine is above 0.99."""
        good = self.cosine > ENOUGH
        first = len(good) - int(np.argmin(good[::-1])) if not good.all() else 0
        return int(self.windows[min(first, len(good) - 1)])

    @property
    def reading(self) -> str:
        """What the numbers say, in one sentence."""
        if not np.isfinite(self.cosine).all():
            return "A gradient is zero or not finite, so there is no angle between them."
        steps = int(self.windows[-1])
        shortest = f"windows of {count(int(self.windows[0]), 'step')} have a cosine of {number(float(self.cosine[0]))}"
        if len(self.windows) == 1:
            return f"Only the window of all {count(steps, 'step')} was looked at, which is the whole gradient."
        if self.enough == self.windows[0]:
            whole = f"give nearly the whole gradient: the cosine is {number(float(self.cosine[0]))}"
            return f"Windows of {count(self.enough, 'step')} of {steps} {whole}."
        if self.enough == steps:
            return f"No window shorter than all {count(steps, 'step')} gives nearly the whole gradient; {shortest}."
        return f"Windows of {count(self.enough, 'step')} of {steps} give nearly the whole gradient; {shortest}."

    @property
    def normal(self) -> str:
        """What is normal, in one sentence."""
        return "The cosine rises to 1 with the window; above 0.99 truncated BPTT goes where the whole gradient goes."

    @property
    def advice(self) -> str:
        """What to do when it is not normal, in one sentence."""
        if not np.isfinite(self.cosine).all():
            return "See that the loss depends on the parameters, and that no number is infinite."
        return f"Train with windows of at least {count(self.enough, 'step')} (--tbptt), if memory allows."

    def rows(self) -> list[tuple[str, str]]:
        """Return the main numbers, each with what it is."""
        return [
            (f"{count(int(k), 'step')}", f"cosine {number(float(cosine))}, norm {number(float(ratio))} of the whole")
            for k, cosine, ratio in zip(self.windows, self.cosine, self.norm_ratio, strict=True)
        ]

    def _draw(self, axes: Any) -> None:
        for which, (label, values) in enumerate({"cosine": self.cosine, "norm ratio": self.norm_ratio}.items()):
            axes.plot(self.windows, values, marker="o", markersize=4, linewidth=1.6, label=label, **line_style(which))
        axes.axhline(1, color=COLOURS[-1], linewidth=1)
        axes.set_ylim(*_with_room(axes.get_ylim()))
        axes.set_xscale("log", base=2)
        axes.set_xticks(self.windows, [str(int(k)) for k in self.windows])
        axes.minorticks_off()
        axes.set_xlabel("steps of a window")
        axes.set_ylabel("truncated against whole gradient")
        axes.grid(alpha=0.3)
        legend_below(axes)


def _with_room(limits: tuple[float, float]) -> tuple[float, float]:
    """Widen limits around 1, so that what differs by nothing does not fill the picture."""
    return min(limits[0], 1 - LEAST_SHOWN), max(limits[1], 1 + LEAST_SHOWN)


def truncation_bias(
    subject: Any,
    inputs: Any = None,
    *,
    windows: Sequence[int] | None = None,
    loss: Callable[[Tensor], Tensor] | None = None,
    task: Task | None = None,
    batch: Batch | None = None,
    steps: int = 64,
    batch_size: int = 8,
    seed: int = 0,
    **options: Any,
) -> TruncationBias:
    """Return how the gradient of BPTT truncated to windows of k steps differs from that of the whole sequence.

    The windows are those of `rnnkit.train` with `truncate=(k, k)`: one after another from the beginning, the state
    handed on without its gradient; where a task has one target a sequence, the last k steps. (What is left at the end
    is a window of its own here; training lets that reach back over k steps.) In a layer that goes backwards the
    gradient is cut at the same places, and nothing else is changed.

    Args:
        subject: a cell's name, expression or class, a Cell, an `rnnkit.RNN` or an `rnnkit.Model`.
        inputs: as the subject takes them, (T, B, D), or symbols (T, B); None: from a standard normal distribution.
        windows: steps k; None: powers of two. All T steps are added to them.
        loss: of all outputs (T, B, O), a scalar; None: the sum of all outputs times fixed random numbers.
        task: judges a Model in place of `loss`.
        batch: of the task; None: one that it draws.
        steps: T, where inputs are drawn.
        batch_size: B, where inputs are drawn.
        seed: of everything that is drawn.
        **options: `input_size` (8), `hidden_size` (32) and the cell's own, for a cell by name or class.

    Raises:
        UsageError: an argument that cannot be honoured. ShapeError: inputs that do not fit.

    Source: Aicher, Foti & Fox, "Adaptively Truncating Backpropagation Through Time to Control Gradient Bias", UAI 2019.
    """
    drawn = Drawn(steps, batch_size, seed, options)
    with studying(subject, inputs, drawn, task=task, batch=batch, loss=loss) as study:
        length = len(study.inputs)
        sizes = _window_sizes(windows, length)
        whole_loss = _whole_loss(study)
        weights = [tensor.requires_grad_() for tensor in study.subject.tensors() if tensor.is_floating_point()]
        if not weights:
            raise UsageError(f"{study.subject.label} has no parameters, so there is no gradient to truncate")
        whole = _gradient(study, weights, whole_loss, Visitor())
        truncated = [_gradient(study, weights, whole_loss, _Cutting(_cuts(study, k), length)) for k in sizes]
        norms = np.array([float(vector.norm()) for vector in truncated])
        products = np.array([float(vector @ whole) for vector in truncated])
        with np.errstate(all="ignore"):
            return TruncationBias(
                subject=study.subject.label,
                notes=study.notes,
                windows=np.array(sizes, dtype=float),
                cosine=products / (norms * float(whole.norm())),
                norm_ratio=norms / float(whole.norm()),
            )


class _Cutting(Visitor):
    """Cuts gradients between steps t - 1 and t."""

    def __init__(self, cuts: set[int], length: int) -> None:
        self._cuts, self._length = cuts, length

    def before(self, part: Part, step: int, state: State) -> State:
        """Return the state, without its gradient where it crosses a cut."""
        place = self._length - step if part.reverse else step
        return tuple(tensor.detach() for tensor in state) if place in self._cuts else state


def _window_sizes(given: Sequence[int] | None, length: int) -> list[int]:
    if given is None:
        given = [2**k for k in range(length.bit_length()) if 2**k < length]
    for k in given:
        check_whole("windows: k", k)
        if k > length:
            raise UsageError(f"windows has {k}; the sequence has {count(length, 'step')}")
    return sorted({*given, length})


def _cuts(study: Study, k: int) -> set[int]:
    """Return the steps before which gradients are cut."""
    length = len(study.inputs)
    one_target = study.task is not None and not study.task.every_step
    return {length - k} - {0} if one_target else set(range(k, length, k))


def _whole_loss(study: Study) -> Callable[[Tensor], Tensor]:
    if study.loss is not None:
        return study.loss
    if study.task is not None:
        return study.task_loss
    weights: list[Tensor] = []

    def loss(outputs: Tensor) -> Tensor:
        numbers = real(outputs)
        if not weights:
            weights.append(torch.randn(numbers.shape, generator=study.generator, dtype=torch.float64).to(numbers))
        return (numbers * weights[0]).sum()

    return loss


def _gradient(study: Study, weights: list[Tensor], loss: Callable[[Tensor], Tensor], visitor: Visitor) -> Tensor:
    """Return the gradient of all parameters as one vector, in float64."""
    outputs = traverse(study.subject, study.xs, visitor).outputs
    return torch.cat([g.double().flatten() for g in gradients_of(scalar(loss(outputs)), weights)])
