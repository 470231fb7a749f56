"""Lyapunov exponents: how fast neighbouring states part or come together on the driven orbit."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnnkit.errors import UsageError, check_whole
from rnnkit.inspection.jacobian import step_jacobian
from rnnkit.inspection.passage import CellRun, check_states, traverse
from rnnkit.inspection.result import Inspection, Numbers
from rnnkit.inspection.study import Drawn, studying
from rnnkit.inspection.wording import count, number
from rnnkit.support.figures import COLOURS, legend_below, line_style

BLOCKS = 8
"""Of steps, whose means tell the standard error."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LyapunovSpectrum(Inspection):
    """Exponents per step; see `lyapunov_spectrum`."""

    title = "Lyapunov exponents"

    exponents: dict[str, Numbers]
    """By cell: from the largest down, per step, (N,); minus infinity where a direction is forgotten at once."""
    errors: dict[str, Numbers]
    """By cell: their standard errors, from blocks of steps and the rows of the batch."""
    steps: int
    """That were counted, after the warm-up."""

    @property
    def largest(self) -> float:
        """The largest exponent of any cell."""
        return max(float(values[0]) for values in self.exponents.values())

    @property
    def sums(self) -> dict[str, float]:
        """By cell, what the logarithm of a volume gains a step."""
        return {name: float(values.sum()) for name, values in self.exponents.items()}

    @property
    def dimensions(self) -> dict[str, float]:
        """By cell, the Kaplan-Yorke dimension of what the states settle on; 0 where they follow the input alone."""
        return {name: kaplan_yorke(values) for name, values in self.exponents.items()}

    @property
    def verdict(self) -> str:
        """One word: "chaotic", "stable" or "undecided", by two standard errors."""
        name = max(self.exponents, key=lambda name: float(self.exponents[name][0]))
        value, error = float(self.exponents[name][0]), float(np.nan_to_num(self.errors[name][0]))
        if np.isnan(value) or abs(value) <= 2 * error:
            return "undecided"
        return "chaotic" if value > 0 else "stable"

    @property
    def reading(self) -> str:
        """What the numbers say, in one sentence."""
        largest = number(self.largest)
        endings = {
            "chaotic": "so neighbouring states part: it is chaotic",
            "stable": "so neighbouring states come together: it is stable, and not chaotic",
            "undecided": f"which {count(self.steps, 'step')} do not tell from 0: whether it is chaotic is undecided",
        }
        return f"The largest exponent is {largest} per step, {endings[self.verdict]}."

    @property
    def normal(self) -> str:
        """What is normal, in one sentence."""
        return (
            "A cell that learns well has its largest exponent a little below 0: the past is neither lost nor amplified."
        )

    @property
    def advice(self) -> str:
        """What to do when it is not normal, in one sentence."""
        if self.verdict == "chaotic":
            return "Clip gradients, or begin with smaller recurrent weights: in a chaotic cell gradients explode."
        if self.verdict == "undecided":
            return "Take more steps."
        if self.largest < -0.2:
            return "If the data reach further back, open the forget gate or begin with orthogonal recurrent weights."
        return "Nothing needs to be done."

    def rows(self) -> list[tuple[str, str]]:
        """Return the main numbers, each with what it is."""
        rows = []
        for name, values in self.exponents.items():
            rows.append(
                (f"{name}: largest exponent", f"{number(float(values[0]))} ± {number(float(self.errors[name][0]))}")
            )
            rows.append((f"{name}: sum", number(self.sums[name])))
            rows.append((f"{name}: Kaplan-Yorke dimension", number(self.dimensions[name])))
        return rows

    def to_json(self) -> dict[str, Any]:
        """Return everything as `json.dumps` takes it."""
        sums = {name: value if np.isfinite(value) else None for name, value in self.sums.items()}
        return {**super().to_json(), "sums": sums, "dimensions": self.dimensions, "verdict": self.verdict}

    def _draw(self, axes: Any) -> None:
        for which, (name, values) in enumerate(self.exponents.items()):
            places = np.arange(1, len(values) + 1)
            shown = np.where(np.isfinite(values), values, np.nan)
            errors = np.nan_to_num(self.errors[name], nan=0, posinf=0)
            style = {**line_style(which), "linewidth": 1.2, "markersize": 3, "marker": "o"}
            axes.errorbar(places, shown, errors, label=name, capsize=2, **style)
        axes.axhline(0, color=COLOURS[-1], linewidth=1)
        axes.set_xlabel("exponent, from the largest down")
        axes.set_ylabel("exponent per step")
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
        if len(self.exponents) > 1:
            legend_below(axes)


def lyapunov_spectrum(
    subject: Any,
    inputs: Any = None,
    *,
    warm_up: int | None = None,
    steps: int = 200,
    batch_size: int = 4,
    seed: int = 0,
    **options: Any,
) -> LyapunovSpectrum:
    """Return the Lyapunov exponents of every cell along the orbit on which the inputs drive it.

    Products of step Jacobians are kept orthogonal by QR; the logarithms of the diagonals of R are averaged over the
    steps after the warm-up and over the rows.

    Args:
        subject: a cell's name, expression or class, a Cell, an `rnnkit.RNN` or an `rnnkit.Model`.
        inputs: as the subject takes them, (T, B, D), or symbols (T, B); None: from a standard normal distribution.
        warm_up: steps at the beginning that are not counted; None: a quarter of them.
        steps: T, where inputs are drawn; the warm-up is part of them.
        batch_size: B, where inputs are drawn.
        seed: of everything that is drawn.
        **options: `input_size` (8), `hidden_size` (32) and the cell's own, for a cell by name or class.

    Raises:
        UsageError: an argument that cannot be honoured. ShapeError: inputs that do not fit.

    Source: Benettin, Galgani, Giorgilli & Strelcyn, "Lyapunov Characteristic Exponents for Smooth Dynamical Systems and
    for Hamiltonian Systems", Meccanica 15, 1980; of recurrent networks Vogt, Puelma Touzel, Shlizerman & Lajoie, "On
    Lyapunov Exponents for RNNs", Frontiers in Applied Mathematics and Statistics 8, 2022; the dimension: Kaplan &
    Yorke, "Chaotic Behavior of Multidimensional Difference Equations", Lecture Notes in Mathematics 730, 1979.
    """
    with studying(subject, inputs, Drawn(steps, batch_size, seed, options)) as study:
        check_states(study.subject)
        length = len(study.inputs)
        skipped = length // 4 if warm_up is None else warm_up
        check_whole("warm_up", skipped, least=0)
        if skipped >= length:
            raise UsageError(f"warm_up is {skipped}; it must leave some of the {count(length, 'step')}")
        with torch.no_grad():
            passage = traverse(study.subject, study.xs)
        exponents: dict[str, Numbers] = {}
        errors: dict[str, Numbers] = {}
        for run in passage.runs:
            stretched = _stretching(run, skipped, study.generator)
            exponents[run.part.label], errors[run.part.label] = _means(stretched)
        return LyapunovSpectrum(
            subject=study.subject.label,
            notes=study.notes,
            exponents=exponents,
            errors=errors,
            steps=length - skipped,
        )


def _stretching(run: CellRun, skipped: int, generator: torch.Generator) -> Numbers:
    """Return the logarithm of what each step after the warm-up does to each direction: (T, B, N)."""
    kept = []
    basis: Tensor | None = None
    for step, (p, state) in enumerate(zip(run.projected, run.states[:-1], strict=True)):
        matrices = step_jacobian(run.part.cell, p, state).double()
        if basis is None:
            drawn = torch.randn(matrices.shape, generator=generator, dtype=torch.float64).to(matrices)
            basis = torch.linalg.qr(drawn).Q
        basis, triangles = torch.linalg.qr(matrices @ basis)
        if step >= skipped:
            kept.append(triangles.diagonal(dim1=-2, dim2=-1).abs().log())
    return torch.stack(kept).cpu().numpy()


def _means(stretched: Numbers) -> tuple[Numbers, Numbers]:
    """Return exponents from the largest down, and their standard errors."""
    blocks = np.array_split(stretched, min(BLOCKS, len(stretched)))
    with np.errstate(invalid="ignore"):  # minus infinity has no deviation
        each = np.concatenate([block.mean(0) for block in blocks])  # (blocks * B, N)
        exponents = stretched.mean((0, 1))
        deviation = each.std(0, ddof=1) if len(each) > 1 else np.full(len(exponents), np.nan)
    order = np.argsort(-exponents)
    return exponents[order], (deviation / np.sqrt(len(each)))[order]


def kaplan_yorke(exponents: Numbers) -> float:
    """Return the Kaplan-Yorke dimension that exponents, from the largest down, stand for."""
    sums = np.cumsum(exponents)
    if not len(sums) or not sums[0] >= 0:
        return 0.0
    last = int(np.flatnonzero(sums >= 0)[-1])
    if last + 1 == len(sums):
        return float(len(sums))
    return float(last + 1 + sums[last] / abs(exponents[last + 1]))
