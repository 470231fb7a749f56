"""Gradient flow: how much of a gradient is left after so many steps back."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnnkit.core.task import Batch, Task
from rnnkit.inspection.backward import state_gradients
from rnnkit.inspection.result import Inspection, Numbers
from rnnkit.inspection.study import Drawn, states_left_out, studying
from rnnkit.inspection.subject import Subject
from rnnkit.inspection.wording import count, number
from rnnkit.support.figures import empty, legend_below, line_style

FADED, VANISHED, EXPLODED = 0.1, 1e-4, 1e3
"""What is left of a gradient that is called fading, vanishing, or exploding."""

SMALLEST_NORM = float(np.finfo(np.float64).tiny) ** 0.5
"""Below it a norm is zero in float64, for its square is."""

FAINT = 1e6
"""Times the smallest number of a dtype: a gradient that goes on from there as zero has become too small to be held."""

SENTENCES = {
    "not finite": "The gradient is not finite, so nothing can be said of its flow.",
    "absent": "The loss at the last step depends on no state before it: the gradient is exactly zero.",
    "elsewhere": "The gradient is zero one step back and not further back: it is no loss of the last step.",
    "too short": "The sequence is too short to say how the gradient changes.",
}
"""What is read where there is no more to be read."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GradientFlow(Inspection):
    """The norm of the gradient at every state against the steps that it has gone back; see `gradient_flow`."""

    title = "Gradient flow"

    lags: Numbers
    """Steps back from the end, (T,): 1 to T."""
    norms: dict[str, Numbers]
    """By state tensor: the norm of each row's gradient (T,), the mean over the rows of the batch."""
    total: Numbers
    """That of all state tensors together, (T,); in a stack of bidirectional layers, of those of the last one."""
    slope: float
    """What the logarithm of `total` gains a step: a line fitted to the last half of the lags."""
    slopes: dict[str, float]
    """The same of each state tensor."""
    smallest: float = 0.0
    """What the dtype of the gradients holds with full precision."""

    @property
    def half_life(self) -> float:
        """Steps in which the gradient halves; infinite where it does not."""
        return math.log(2) / -self.slope if self.slope < 0 else math.inf

    @property
    def left(self) -> float:
        """What is left at the last lag, as a share of the gradient one step back."""
        return float(self.total[-1] / self.total[0]) if self.total[0] else math.nan

    @property
    def reach(self) -> int:
        """Steps back until the gradient is exactly zero for good; T where it never is."""
        reached = np.flatnonzero(self.total)
        return int(reached[-1]) + 1 if len(reached) else 0

    @property
    def underflows(self) -> bool:
        """Whether it becomes too small to be held from some step back on."""
        return _underflows(self.total, self.smallest)

    @property
    def verdict(self) -> str:
        """What becomes of it: "steady", "fading", "vanishing", "exploding", "cut off", or a key of `SENTENCES`."""
        if not np.isfinite(self.total).all():
            return "not finite"
        if not self.total.any():
            return "absent"
        if not self.total[0]:
            return "elsewhere"
        if self.reach < len(self.lags) and not self.underflows:
            return "cut off"
        if math.isnan(self.slope):
            return "too short"
        if self.left < FADED:
            return "vanishing" if self.left < VANISHED else "fading"
        return "exploding" if self.left > EXPLODED else "steady"

    @property
    def pace(self) -> str:
        """How it changes far back: "halve in 3.2 steps", "double in 5 steps", "hardly change"."""
        if self.verdict in ("absent", "elsewhere", "cut off"):
            return "are exactly zero"
        if self.verdict == "not finite":
            return "are not finite"
        if math.isnan(self.slope):
            return "are too few to tell"
        if abs(self.slope) * len(self.lags) < 0.1:
            return "hardly change"
        return f"{'halve' if self.slope < 0 else 'double'} in {number(math.log(2) / abs(self.slope))} steps"

    @property
    def reading(self) -> str:
        """What the numbers say, in one sentence."""
        if self.verdict in SENTENCES:
            return SENTENCES[self.verdict]
        if self.verdict == "cut off":
            return f"The gradient is exactly zero from {count(self.reach + 1, 'step')} back on."
        word = f": it is {self.verdict}" if self.verdict in ("vanishing", "exploding") else ""
        left = f"less than {number(self.smallest)}" if self.underflows else number(self.left)
        what = f"{len(self.lags)} steps back {left} of it is left{word}"
        if self.pace == "hardly change":
            return f"Far back the gradient hardly changes; {what}."
        verb, _, every = self.pace.partition(" in ")
        return f"Far back the gradient {verb}s every {every}; {what}."

    @property
    def normal(self) -> str:
        """What is normal, in one sentence."""
        return (
            "A new cell of a few dozen units halves it every one or two steps; a trained one should keep a good part "
            "of it over as many steps as the data ask for."
        )

    @property
    def advice(self) -> str:
        """What to do when it is not normal, in one sentence."""
        advice = {
            "fading": "If the data reach further back, open the forget gate (rnnkit.init.forget_bias_ or chrono_).",
            "vanishing": "If the data reach further back, open the forget gate (rnnkit.init.forget_bias_ or chrono_), "
            "begin with orthogonal recurrent weights (rnnkit.init.orthogonal_), or take a cell with gates.",
            "exploding": "Clip gradients by their norm (--clip), lower the learning rate, or begin with smaller "
            "recurrent weights.",
            "not finite": "Look for the step where it begins with rnnkit.inspection.exploding_steps.",
            "steady": "Nothing needs to be done.",
        }
        other = "See that the step reads its state, that nothing is detached, and that the sequence is long enough."
        return advice.get(self.verdict, other)

    def rows(self) -> list[tuple[str, str]]:
        """Return the main numbers, each with what it is."""
        rows = [
            ("slope of the logarithm far back, per step", number(self.slope)),
            ("half-life far back, steps", number(self.half_life)),
        ]
        rows += [(f"left {len(self.lags)} steps back", number(self.left)), ("verdict", self.verdict)]
        if len(self.slopes) > 1:
            rows += [(f"slope of {name}", number(slope)) for name, slope in self.slopes.items()]
        return rows

    def to_json(self) -> dict[str, Any]:
        """Return everything as `json.dumps` takes it."""
        half_life = self.half_life if math.isfinite(self.half_life) else None
        left = self.left if math.isfinite(self.left) else None
        return {**super().to_json(), "half_life": half_life, "left": left, "verdict": self.verdict}

    def _draw(self, axes: Any) -> None:
        for which, (name, norms) in enumerate(self.norms.items()):
            shown = np.where(norms > 0, norms, np.nan)
            axes.plot(self.lags, shown, label=name, linewidth=1.6, **line_style(which))
        axes.set_xlabel("steps back")
        axes.set_ylabel("norm of the gradient")
        if (self.total > 0).any():
            axes.set_yscale("log")
        else:
            empty(axes, "zero, or not finite, at every step back")
        axes.grid(alpha=0.3)
        if len(self.norms) > 1:
            legend_below(axes)


def gradient_flow(
    subject: Any,
    inputs: Any = None,
    *,
    loss: Callable[[Tensor], Tensor] | None = None,
    task: Task | None = None,
    batch: Batch | None = None,
    steps: int = 64,
    batch_size: int = 8,
    seed: int = 0,
    **options: Any,
) -> GradientFlow:
    """Return how the gradient of a loss at the last step shrinks or grows on its way back through the states.

    The gradient k steps back is that with respect to the state which the k-th step from the end reads: of what is
    carried on, not of what is given out at once. In a bidirectional layer each direction goes back from its own last
    step.

    Args:
        subject: a cell's name, expression or class, a Cell, an `rnnkit.RNN` or an `rnnkit.Model`.
        inputs: as the subject takes them, (T, B, D), or symbols (T, B); None: from a standard normal distribution.
        loss: of all outputs (T, B, O), a scalar; None: the sum of the last output times a fixed random vector.
        task: judges a Model in place of `loss`: the task's loss at the last step.
        batch: of the task; None: one that it draws.
        steps: T, where inputs are drawn.
        batch_size: B, where inputs are drawn.
        seed: of everything that is drawn.
        **options: `input_size` (8), `hidden_size` (32) and the cell's own, for a cell by name or class.

    Raises:
        UsageError: an argument that cannot be honoured. ShapeError: inputs that do not fit.

    Source: Hochreiter, "Untersuchungen zu dynamischen neuronalen Netzen", 1991; Bengio, Simard & Frasconi, "Learning
    Long-Term Dependencies with Gradient Descent is Difficult", IEEE Transactions on Neural Networks 5(2), 1994.
    """
    drawn = Drawn(steps, batch_size, seed, options)
    with studying(subject, inputs, drawn, task=task, batch=batch, loss=loss) as study:
        _, gradients = state_gradients(study)
        norms: dict[str, Numbers] = {}
        squares: list[Tensor] = []
        lower, notes = _both_ends(study.subject)
        for of_cell in gradients:
            back = of_cell.norms()[:-1].flip(0)  # (T, tensors, B): one step back first
            squares += [back.square().sum(1)] if of_cell.run.part.layer >= lower else []
            norms |= {name: back[:, k].mean(1).cpu().numpy() for k, name in enumerate(of_cell.names)}
        total = torch.stack(squares).sum(0).sqrt().mean(1).cpu().numpy()
        smallest = max(float(torch.finfo(study.xs.dtype).tiny), SMALLEST_NORM)
        return GradientFlow(
            subject=study.subject.label,
            notes=(*study.notes, *states_left_out(study.subject), *notes),
            lags=np.arange(1.0, len(total) + 1),
            norms=norms,
            total=total,
            slope=_slope(total, smallest),
            slopes={name: _slope(values, smallest) for name, values in norms.items()},
            smallest=smallest,
        )


def _both_ends(subject: Subject) -> tuple[int, list[str]]:
    """Return the first layer whose gradients come from one end of the sequence alone, and what is to be said of it."""
    last = len(subject.layers) - 1
    if not last or len(subject.layers[-1]) == 1:
        return 0, []
    return last, ["Below the last layer gradients come from both ends of the sequence; the total is the last layer's."]


def _underflows(norms: Numbers, smallest: float) -> bool:
    """Tell whether norms end below what can be held, having come there little by little."""
    above = norms[norms > 0]
    return len(above) > 0 and bool(norms[-1] <= smallest and above[-1] <= FAINT * smallest)


def _slope(norms: Numbers, smallest: float) -> float:
    """Fit a line to the logarithm of the last half; NaN where there are no two numbers above zero.

    Where they become too small to be held, of the last half before that.
    """
    if _underflows(norms, smallest):
        norms = norms[: int(np.argmax(norms <= smallest))]
    first = len(norms) // 2 if len(norms) > 3 else 0
    lags = np.arange(first, len(norms), dtype=float)
    tail = norms[first:]
    kept = (tail > 0) & np.isfinite(tail)
    if kept.sum() < 2:
        return math.nan
    return float(np.polyfit(lags[kept], np.log(tail[kept]), 1)[0])
