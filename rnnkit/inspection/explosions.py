"""Exploding steps: at which steps of a sequence the gradient grows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from rnnkit.core.task import Batch, Task
from rnnkit.errors import check_positive
from rnnkit.inspection.backward import StateGradients, state_gradients
from rnnkit.inspection.jacobian import Sample, jacobians, sample, singular_values
from rnnkit.inspection.passage import CellRun
from rnnkit.inspection.result import Inspection, Numbers, Values, plain
from rnnkit.inspection.study import Drawn, states_left_out, studying
from rnnkit.inspection.wording import count, number
from rnnkit.support.figures import COLOURS, legend_below, line_style

FEW = 20
"""Steps that explode whose Jacobians are computed in any case."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Explosion:
    """A step at which the gradient grows by more than the threshold on its way back."""

    cell: str
    step: int
    growth: float
    singular_value: float


@dataclass(frozen=True, kw_only=True, eq=False)
class ExplodingSteps(Inspection):
    """How the gradient changes at each step; see `exploding_steps`."""

    title = "Growth of the gradient"

    threshold: float
    growth: dict[str, Numbers]
    """By cell: the norm of the gradient before a step by that after it, (T,) in time; NaN where there is none after."""
    singular_values: dict[str, Numbers]
    """By cell: the largest singular value of the step's Jacobian in any row, (T,): the growth can be no more, but by
    what the step's output adds. NaN where it was not computed."""

    @property
    def explosions(self) -> tuple[Explosion, ...]:
        """The steps above the threshold, the worst first."""
        above = [
            Explosion(cell=cell, step=int(step), growth=float(values[step]), singular_value=float(singular[step]))
            for (cell, values), singular in zip(self.growth.items(), self.singular_values.values(), strict=True)
            for step in np.flatnonzero(values > self.threshold)
        ]
        return tuple(sorted(above, key=lambda explosion: -explosion.growth))

    @property
    def reading(self) -> str:
        """What the numbers say, in one sentence."""
        cells = len(self.growth)
        steps = max(int((~np.isnan(values)).sum()) for values in self.growth.values())
        of = f"{count(steps, 'step')}{f' of {cells} cells' if cells > 1 else ''}"
        worst = self.explosions[:1]
        if not worst:
            return f"At none of {of} does the gradient grow by more than {number(self.threshold)} times."
        growth = worst[0].growth
        how = f"by {number(growth)}" if np.isfinite(growth) else "it is no longer finite before it"
        return (
            f"At {len(self.explosions)} of {of} the gradient grows by more than {number(self.threshold)} times, most "
            f"at step {worst[0].step} of {worst[0].cell}: {how}."
        )

    @property
    def normal(self) -> str:
        """What is normal, in one sentence."""
        return (
            "A growth above 1 at single steps is normal; an explosion is many in a row, or one of orders of magnitude."
        )

    @property
    def advice(self) -> str:
        """What to do when it is not normal, in one sentence."""
        if not self.explosions:
            return "Nothing needs to be done."
        return "Look at the inputs of these steps, clip gradients by their norm (--clip), or lower the learning rate."

    def rows(self) -> list[tuple[str, str]]:
        """Return the main numbers, each with what it is."""
        rows = [("steps above the threshold", str(len(self.explosions)))]
        return rows + [
            (f"step {one.step} of {one.cell}", f"{number(one.growth)}, singular value {number(one.singular_value)}")
            for one in self.explosions[:5]
        ]

    def to_json(self) -> dict[str, Any]:
        """Return everything as `json.dumps` takes it."""
        return {**super().to_json(), "explosions": plain(self.explosions)}

    def _draw(self, axes: Any) -> None:
        for which, (name, values) in enumerate(self.growth.items()):
            style = line_style(which)
            axes.plot(np.where(np.isfinite(values), values, np.nan), linewidth=1.6, label=name, **style)
            bound = {**style, "linewidth": 1, "alpha": 0.5}
            known = np.flatnonzero(np.isfinite(self.singular_values[name]))
            axes.plot(known, self.singular_values[name][known], label=f"{name}: singular value", **bound)
        for one in self.explosions:
            axes.plot(one.step, one.growth, "x", color=COLOURS[1], markersize=7)
        axes.axhline(self.threshold, color=COLOURS[-1], linewidth=1, linestyle="--", label="threshold")
        axes.set_xlabel("step")
        axes.set_ylabel("growth on the way back")
        drawn = np.concatenate([*self.growth.values(), *self.singular_values.values()])
        drawn = drawn[np.isfinite(drawn) & (drawn > 0)]
        if len(drawn) and drawn.max() > 10 * drawn.min():
            axes.set_yscale("log")
        axes.grid(alpha=0.3)
        legend_below(axes)


def exploding_steps(
    subject: Any,
    inputs: Any = None,
    *,
    threshold: float = 2.0,
    loss: Callable[[Tensor], Tensor] | None = None,
    task: Task | None = None,
    batch: Batch | None = None,
    steps: int = 64,
    batch_size: int = 8,
    seed: int = 0,
    **options: Any,
) -> ExplodingSteps:
    """Return how much the gradient of a loss at the last step grows at each step on its way back.

    Args:
        subject: a cell's name, expression or class, a Cell, an `rnnkit.RNN` or an `rnnkit.Model`.
        inputs: as the subject takes them, (T, B, D), or symbols (T, B); None: from a standard normal distribution.
        threshold: the growth from which on a step is listed.
        loss: of all outputs (T, B, O), a scalar; None: the sum of the last output times a fixed random vector.
        task: judges a Model in place of `loss`: the task's loss at the last step.
        batch: of the task; None: one that it draws.
        steps: T, where inputs are drawn.
        batch_size: B, where inputs are drawn.
        seed: of everything that is drawn.
        **options: `input_size` (8), `hidden_size` (32) and the cell's own, for a cell by name or class.

    Raises:
        UsageError: an argument that cannot be honoured. ShapeError: inputs that do not fit.
    """
    check_positive("threshold", threshold)
    drawn = Drawn(steps, batch_size, seed, options)
    with studying(subject, inputs, drawn, task=task, batch=batch, loss=loss) as study:
        passage, gradients = state_gradients(study)
        chosen = sample(passage)
        growth = {of.run.part.label: np.array(of.run.in_time(list(_growth(of)))) for of in gradients}
        values = {
            of.run.part.label: _largest(of.run, chosen, growth[of.run.part.label] > threshold) for of in gradients
        }
        return ExplodingSteps(
            subject=study.subject.label,
            notes=(*study.notes, *states_left_out(study.subject), *chosen.notes),
            threshold=threshold,
            growth=growth,
            singular_values=values,
        )


def _largest(run: CellRun, chosen: Sample, explodes: Values) -> Numbers:
    """Return the largest singular value at the chosen steps and the first few that explode; NaN elsewhere."""
    values = np.full(len(run.projected), np.nan)
    steps = sorted({*chosen.steps, *np.flatnonzero(explodes)[:FEW].tolist()})
    own = [len(values) - 1 - step if run.part.reverse else step for step in steps]
    values[steps] = [float(singular_values(one)[:, 0].max()) for one in jacobians(run, own, chosen.rows)]
    return values


def _growth(gradients: StateGradients) -> Numbers:
    """Return the growth at each of the cell's own steps; infinite where a finite gradient becomes one that is not."""
    norms = gradients.norms().square().sum(1).sqrt().mean(1).cpu().numpy()
    before, after = norms[:-1], norms[1:]
    with np.errstate(all="ignore"):
        ratio = np.where(after > 0, before / after, np.nan)
    return np.where(np.isfinite(after) & ~np.isfinite(before), np.inf, ratio)
