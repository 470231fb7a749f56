"""The Jacobian of one step with respect to the state, and its spectrum along a sequence."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnnkit.core.cell import Cell, Projected, State, map_parts
from rnnkit.errors import UsageError
from rnnkit.inspection.coordinates import flatten, unflatten
from rnnkit.inspection.passage import CellRun, check_states, traverse
from rnnkit.inspection.result import Inspection, Numbers
from rnnkit.inspection.study import Drawn, studying
from rnnkit.inspection.wording import number
from rnnkit.support.figures import COLOURS, legend_below, line_style

ROWS = 4096
"""Of a batch in which Jacobians are computed; more are done in several goes."""


def step_jacobian(cell: Cell, p: Projected, state: State) -> Tensor:
    """Return the Jacobian of one step's new state with respect to the state that it reads, for each row: (B, N, N).

    All state tensors with derivatives are joined to one vector of N real numbers in the order of `state_names`; a
    complex number is two, and integers are left out. Rows of a batch are independent, so each row is repeated N times
    and all rows of its Jacobian come from one backward pass.

    Args:
        cell: what is stepped.
        p: a time slice of what `cell.project` returned, for B rows.
        state: what the step reads, one tensor (B, ...) for each name.

    Raises:
        UsageError: no state tensor has derivatives.
    """
    if not any(tensor.is_floating_point() or tensor.is_complex() for tensor in state):
        raise UsageError(f"cell {cell.name!r} has no state of real or complex numbers, so there is no Jacobian")
    start = flatten(state).detach()
    batch, size = start.shape
    at_once = max(1, ROWS // batch)
    goes = [range(first, min(first + at_once, size)) for first in range(0, size, at_once)]
    return torch.cat([_rows(cell, p, state, start, numbers) for numbers in goes], 1)


def _rows(cell: Cell, p: Projected, state: State, start: Tensor, numbers: range) -> Tensor:
    """Return some rows of the Jacobians: (B, rows, N)."""
    count = len(numbers)
    with torch.enable_grad():
        leaf = start.repeat_interleave(count, 0).requires_grad_()
        repeated = tuple(tensor.detach().repeat_interleave(count, 0) for tensor in state)
        slices = map_parts(lambda part: part.detach().repeat_interleave(count, 0), p)
        after = flatten(cell.step(slices, unflatten(leaf, repeated))[1])
        if not after.requires_grad:
            return start.new_zeros(len(start), count, start.shape[1])
        wanted = torch.zeros_like(after)
        rows = torch.arange(len(after), device=after.device)
        wanted[rows, rows % count + numbers.start] = 1
        (gradient,) = torch.autograd.grad(after, leaf, wanted, allow_unused=True, materialize_grads=True)
    return gradient.reshape(len(start), count, start.shape[1])


def jacobians(run: CellRun) -> list[Tensor]:
    """Return the Jacobian of every step of a run, in the order of its own steps: T of (B, N, N), in float64."""
    pairs = zip(run.projected, run.states[:-1], strict=True)
    return [step_jacobian(run.part.cell, p, state).double() for p, state in pairs]


@dataclass(frozen=True, kw_only=True, eq=False)
class JacobianSpectrum(Inspection):
    """How a step stretches differences of the state; see `jacobian_spectrum`."""

    title = "Jacobian of the step"

    singular_values: dict[str, Numbers]
    """By cell: (T, N) from the largest down, the mean over the rows of the batch."""
    spectral_radius: dict[str, Numbers]
    """By cell: the largest |eigenvalue| of each step's Jacobian (T,), the mean over the rows."""

    @property
    def largest(self) -> float:
        """The largest singular value of any step of any cell."""
        return max(float(values[:, 0].max()) for values in self.singular_values.values())

    @property
    def radius(self) -> float:
        """The mean spectral radius over the steps, of the cell that has the largest."""
        return max(float(values.mean()) for values in self.spectral_radius.values())

    @property
    def reading(self) -> str:
        """What the numbers say, in one sentence."""
        medians = [float(np.median(values)) for values in self.singular_values.values()]
        return (
            f"One step multiplies a difference of the state by at most {number(self.largest)} and in the middle by "
            f"{number(float(np.median(medians)))}; the spectral radius is {number(self.radius)} on average."
        )

    @property
    def normal(self) -> str:
        """What is normal, in one sentence."""
        return "A spectral radius a little below 1 keeps the past for long and stays stable; below 0.5 it is soon gone."

    @property
    def advice(self) -> str:
        """What to do when it is not normal, in one sentence."""
        if not np.isfinite(self.radius):
            return "Look for the step where it begins with rnnkit.inspection.exploding_steps."
        if self.radius > 1.1:
            return "Clip gradients, or begin with smaller recurrent weights: over many steps they may explode."
        if self.radius < 0.5:
            return "Open the forget gate (rnnkit.init.forget_bias_), or begin with orthogonal weights (orthogonal_)."
        return "Nothing needs to be done."

    def rows(self) -> list[tuple[str, str]]:
        """Return the main numbers, each with what it is."""
        rows = []
        for name, values in self.singular_values.items():
            rows.append((f"{name}: largest singular value", number(float(values[:, 0].max()))))
            rows.append((f"{name}: median singular value", number(float(np.median(values)))))
            rows.append((f"{name}: spectral radius", number(float(self.spectral_radius[name].mean()))))
        return rows

    def _draw(self, axes: Any) -> None:
        lines = dict(self.spectral_radius)
        if len(lines) == 1:
            ((name, radius),) = lines.items()
            values = self.singular_values[name]
            steps = np.arange(len(values))
            axes.fill_between(steps, values[:, -1], values[:, 0], color=COLOURS[0], alpha=0.15, linewidth=0)
            middle = np.median(values, 1)
            lines = {"largest singular value": values[:, 0], "spectral radius": radius, "median singular value": middle}
        for which, (name, line) in enumerate(lines.items()):
            axes.plot(line, linewidth=1.6, label=name, **line_style(which))
        axes.axhline(1, color=COLOURS[-1], linewidth=1)
        axes.set_xlabel("step")
        axes.set_ylabel("factor of a difference" if len(self.spectral_radius) == 1 else "spectral radius")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        legend_below(axes)


def jacobian_spectrum(
    subject: Any,
    inputs: Any = None,
    *,
    steps: int = 64,
    batch_size: int = 8,
    seed: int = 0,
    **options: Any,
) -> JacobianSpectrum:
    """Return the singular values and the spectral radius of each step's Jacobian.

    A gradient that goes back k steps is multiplied by k such matrices, of all state tensors of a cell jointly; see
    `step_jacobian`.

    Args:
        subject: a cell's name, expression or class, a Cell, an `rnnkit.RNN` or an `rnnkit.Model`.
        inputs: as the subject takes them, (T, B, D), or symbols (T, B); None: from a standard normal distribution.
        steps: T, where inputs are drawn.
        batch_size: B, where inputs are drawn.
        seed: of everything that is drawn.
        **options: `input_size` (8), `hidden_size` (32) and the cell's own, for a cell by name or class.

    Raises:
        UsageError: an argument that cannot be honoured. ShapeError: inputs that do not fit.

    Source: Pascanu, Mikolov & Bengio, "On the difficulty of training recurrent neural networks", ICML 2013; Pennington,
    Schoenholz & Ganguli, "Resurrecting the sigmoid in deep learning through dynamical isometry", NIPS 2017.
    """
    with studying(subject, inputs, Drawn(steps, batch_size, seed, options)) as study:
        check_states(study.subject)
        with torch.no_grad():
            passage = traverse(study.subject, study.xs)
        values: dict[str, Numbers] = {}
        radii: dict[str, Numbers] = {}
        for run in passage.runs:
            matrices = jacobians(run)
            values[run.part.label] = np.array([singular_values(one).mean(0).cpu().numpy() for one in matrices])
            radii[run.part.label] = np.array([float(spectral_radius(one).mean()) for one in matrices])
        return JacobianSpectrum(
            subject=study.subject.label, notes=study.notes, singular_values=values, spectral_radius=radii
        )


def singular_values(matrices: Tensor) -> Tensor:
    """Return the singular values (B, N) of matrices (B, N, N) from the largest down; NaN where one is not finite."""
    finite = matrices.isfinite().all(-1).all(-1)
    values = torch.linalg.svdvals(torch.where(finite[:, None, None], matrices, 0.0))
    return torch.where(finite[:, None], values, torch.nan)


def spectral_radius(matrices: Tensor) -> Tensor:
    """Return the largest |eigenvalue| (B,) of matrices (B, N, N); NaN where one is not finite."""
    finite = matrices.isfinite().all(-1).all(-1)
    values = torch.linalg.eigvals(torch.where(finite[:, None, None], matrices, 0.0)).abs().amax(-1)
    return torch.where(finite, values, torch.nan)
