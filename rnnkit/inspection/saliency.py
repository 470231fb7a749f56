"""Input saliency: which steps and features of the input the last output depends on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from rnnkit.core.task import Batch, Task
from rnnkit.inspection.backward import gradients_of, scalar
from rnnkit.inspection.passage import traverse
from rnnkit.inspection.result import Inspection, Numbers
from rnnkit.inspection.study import Drawn, Study, studying
from rnnkit.inspection.wording import count, number, percent
from rnnkit.support.figures import COLOURS, visible

MOST_TICKS = 80
"""Of more characters than that, their numbers stand below the picture."""
POINTS = 420
"""What the width of a picture has for the sizes of all its characters together, which are less wide than high."""


@dataclass(frozen=True, kw_only=True, eq=False)
class InputSaliency(Inspection):
    """Gradients at the inputs; see `input_saliency`."""

    title = "Saliency of the input"

    norms: Numbers
    """The norm of the gradient at the input of each step (T,), the mean over the rows."""
    features: Numbers
    """The absolute value of the gradient at each feature (T, D), the mean over the rows; of symbols, at their
    vectors."""
    characters: tuple[str, ...] = ()
    """What the task writes for the input of each step, T of them, where that is one row of a text; else none."""
    both_ways: bool = False
    """Whether a layer is bidirectional, so that the output at either end depends on both."""

    @property
    def window(self) -> int:
        """How many of the last steps hold nine tenths of all saliency; 0 where there is none."""
        total = self.norms.sum()
        if not total > 0:
            return 0
        return int(np.argmax(np.cumsum(self.norms[::-1]) >= 0.9 * total)) + 1

    @property
    def reading(self) -> str:
        """What the numbers say, in one sentence."""
        if not np.isfinite(self.norms).all():
            return "Some gradients are not finite, so what the last output depends on is not known."
        if not self.window:
            return "The last output depends on none of the inputs: all gradients are zero."
        most = int(self.norms.argmax())
        share = percent(float(self.norms[most] / self.norms.sum()))
        if self.both_ways:
            return (
                f"Step {most}{self._at(most)} of {len(self.norms)} counts most, with {share}; the layer goes both ways."
            )
        return (
            f"Nine tenths of what the last output depends on lie in the last {count(self.window, 'step')} of "
            f"{len(self.norms)}; step {most}{self._at(most)} counts most, with {share}."
        )

    def _at(self, step: int) -> str:
        return f", {self.characters[step]!r}," if self.characters else ""

    @property
    def normal(self) -> str:
        """What is normal, in one sentence."""
        return "A new cell looks at the last few steps alone; a trained one where its task has the information."

    @property
    def advice(self) -> str:
        """What to do when it is not normal, in one sentence."""
        return "If the steps that matter do not count, train longer, or open the forget gate (rnnkit.init.chrono_)."

    def rows(self) -> list[tuple[str, str]]:
        """Return the main numbers, each with what it is."""
        order = np.argsort(-self.norms, kind="stable")[:3]
        rows = [("steps that hold nine tenths", str(self.window))]
        return rows + [
            (f"gradient at step {step}{self._at(step).rstrip(',')}", number(float(self.norms[step]))) for step in order
        ]

    def _draw(self, axes: Any) -> None:
        axes.bar(np.arange(len(self.norms)), self.norms, color=COLOURS[0], width=0.8)
        axes.set_xlabel("step")
        if 0 < len(self.characters) <= MOST_TICKS:
            size = min(10.0, POINTS / len(self.characters))
            axes.set_xticks(range(len(self.characters)), [*map(visible, self.characters)], fontsize=size)
            axes.tick_params(axis="x", length=0)
            axes.set_xlabel("character")
        axes.set_ylabel("norm of the gradient at the input")
        axes.set_xlim(-0.7, len(self.norms) - 0.3)
        axes.grid(alpha=0.3, axis="y")


def input_saliency(
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
) -> InputSaliency:
    """Return the gradient of a loss at the last step with respect to the input of each step.

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

    Source: Simonyan, Vedaldi & Zisserman, "Deep Inside Convolutional Networks", arXiv 1312.6034, 2013.
    """
    drawn = Drawn(steps, batch_size, seed, options)
    with studying(subject, inputs, drawn, task=task, batch=batch, loss=loss) as study:
        xs = study.xs.detach().requires_grad_()
        passage = traverse(study.subject, xs)
        (gradient,) = gradients_of(scalar(study.last_loss()(passage.outputs)), [xs])
        sizes = gradient.abs().double()
        return InputSaliency(
            subject=study.subject.label,
            notes=study.notes,
            norms=sizes.norm(dim=2).mean(1).cpu().numpy(),
            features=sizes.mean(1).cpu().numpy(),
            characters=_characters(study),
            both_ways=any(part.reverse for part in study.subject.parts),
        )


def _characters(study: Study) -> tuple[str, ...]:
    """Return the text of each input, where there is one row of symbols and the task writes them as text."""
    task, inputs = study.task, study.inputs
    if task is None or not task.symbols or inputs.ndim != 2 or inputs.shape[1] != 1 or task.prompt() is None:
        return ()
    return tuple(task.sample(symbol) for symbol in inputs.cpu())
