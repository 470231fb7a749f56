"""The Jacobian of one step with respect to the state, and its spectrum along a sequence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rnnkit.core.cell import Cell, Projected, State, map_parts
from rnnkit.errors import UsageError
from rnnkit.inspection.coordinates import flatten, unflatten
from rnnkit.inspection.passage import CellRun, Passage, check_states, traverse
from rnnkit.inspection.result import Inspection, Numbers
from rnnkit.inspection.study import Drawn, states_left_out, studying
from rnnkit.inspection.wording import count, number
from rnnkit.support.figures import COLOURS, legend_below, line_style

WORK = 2.5e9
"""N³ summed over the Jacobians that are taken apart, so that it takes seconds."""
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


def step_products(cell: Cell, p: Projected, state: State, vectors: Tensor) -> Tensor:
    """Return the products of each row's Jacobian (B, N, N) with vectors (B, N, K); where K < N, without the matrices.

    A backward pass that is differentiated again is a forward derivative: d(Jᵀu · v)/du = J v.
    """
    count = vectors.shape[2]
    if count >= vectors.shape[1]:
        return step_jacobian(cell, p, state).double() @ vectors
    start = flatten(state).detach()
    with torch.enable_grad():
        leaf = start.repeat_interleave(count, 0).requires_grad_()
        repeated = tuple(tensor.detach().repeat_interleave(count, 0) for tensor in state)
        slices = map_parts(lambda part: part.detach().repeat_interleave(count, 0), p)
        after = flatten(cell.step(slices, unflatten(leaf, repeated))[1])
        if not after.requires_grad:
            return torch.zeros_like(vectors)
        along = torch.zeros_like(after, requires_grad=True)
        (back,) = torch.autograd.grad(after, leaf, along, create_graph=True, allow_unused=True, materialize_grads=True)
        weighed = (back * vectors.transpose(1, 2).reshape(leaf.shape).to(back)).sum()
        (products,) = torch.autograd.grad(weighed, along, allow_unused=True, materialize_grads=True)
    return products.reshape(len(start), count, -1).transpose(1, 2).double()


def jacobians(run: CellRun, steps: Sequence[int], rows: int) -> list[Tensor]:
    """Return Jacobians of a run at some of its own steps, in float64: each (rows, N, N), of the first rows."""
    matrices = []
    for step in steps:
        p = map_parts(lambda part: part[:rows], run.projected[step])
        matrices.append(step_jacobian(run.part.cell, p, tuple(t[:rows] for t in run.states[step])).double())
    return matrices


class Sample(NamedTuple):
    """Where Jacobians are computed."""

    steps: list[int]
    """In time."""
    rows: int
    """So many of the first ones."""
    notes: tuple[str, ...]


def sample(passage: Passage) -> Sample:
    """Return at which steps and in how many rows Jacobians are computed: in all, or where that takes long in fewer."""
    length, batch = len(passage.runs[0].projected), passage.outputs.shape[1]
    sizes = [flatten(run.states[0]).shape[1] for run in passage.runs]
    affordable = max(4, int(WORK / sum(size**3 for size in sizes)))
    if affordable >= length * batch:
        return Sample(list(range(length)), batch, ())
    rows = max(1, min(batch, affordable // length))
    steps = sorted({round(step) for step in np.linspace(0, length - 1, min(length, affordable))})
    places = f"at {len(steps)} of {length} steps, in {count(rows, 'row')}"
    note = f"Jacobians of {max(sizes)} numbers take long: computed {places}."
    return Sample(steps, rows, (note,))


@dataclass(frozen=True, kw_only=True, eq=False)
class JacobianSpectrum(Inspection):
    """How a step stretches differences of the state; see `jacobian_spectrum`."""

    title = "Jacobian of the step"

    steps: Numbers
    """In time, (T,): all, or of large cells some."""
    singular_values: dict[str, Numbers]
    """By cell: (T, N) from the largest down, the mean over the rows of the batch."""
    spectral_radius: dict[str, Numbers]
    """By cell: the largest |eigenvalue| of each step's Jacobian (T,), the mean over the rows."""
    maxima: dict[str, float]
    """By cell: the largest singular value of any step and row."""

    @property
    def largest(self) -> float:
        """The largest singular value of any step and row of any cell."""
        return max(self.maxima.values())

    @property
    def radius(self) -> float:
        """The mean spectral radius over the steps, of the cell that has the largest."""
        return max(float(values.mean()) for values in self.spectral_radius.values())

    @property
    def reading(self) -> str:
        """What the numbers say, in one sentence."""
        if not np.isfinite(self.largest):
            return "Some Jacobians are not finite, so nothing can be said of what a step does to a difference."
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
            rows.append((f"{name}: largest singular value", number(self.maxima[name])))
            rows.append((f"{name}: median singular value", number(float(np.median(values)))))
            rows.append((f"{name}: spectral radius", number(float(self.spectral_radius[name].mean()))))
        return rows

    def _draw(self, axes: Any) -> None:
        lines = dict(self.spectral_radius)
        if len(lines) == 1:
            ((name, radius),) = lines.items()
            values = self.singular_values[name]
            axes.fill_between(self.steps, values[:, -1], values[:, 0], color=COLOURS[0], alpha=0.15, linewidth=0)
            middle = np.median(values, 1)
            lines = {"largest singular value": values[:, 0], "spectral radius": radius, "median singular value": middle}
        for which, (name, line) in enumerate(lines.items()):
            axes.plot(self.steps, line, linewidth=1.6, label=name, **line_style(which))
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
        chosen = sample(passage)
        values: dict[str, Numbers] = {}
        radii: dict[str, Numbers] = {}
        maxima: dict[str, float] = {}
        for run in passage.runs:
            own = [len(run.projected) - 1 - step if run.part.reverse else step for step in chosen.steps]
            matrices = jacobians(run, own, chosen.rows)
            singular = [singular_values(one).cpu() for one in matrices]
            values[run.part.label] = np.array([one.mean(0).numpy() for one in singular])
            maxima[run.part.label] = max(float(one.max()) for one in singular)
            radii[run.part.label] = np.array([float(spectral_radius(one).mean()) for one in matrices])
        return JacobianSpectrum(
            subject=study.subject.label,
            notes=(*study.notes, *states_left_out(study.subject), *chosen.notes),
            steps=np.array(chosen.steps, dtype=float),
            singular_values=values,
            spectral_radius=radii,
            maxima=maxima,
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
