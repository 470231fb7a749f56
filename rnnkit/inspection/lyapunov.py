"""Lyapunov exponents: how fast neighbouring states part or come together on the driven orbit."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rnnkit.errors import UsageError, check_whole
from rnnkit.inspection.coordinates import flatten
from rnnkit.inspection.jacobian import step_products
from rnnkit.inspection.passage import CellRun, check_states, traverse
from rnnkit.inspection.result import Inspection, Numbers, plain
from rnnkit.inspection.study import Drawn, states_left_out, studying
from rnnkit.inspection.wording import count, number
from rnnkit.support.figures import COLOURS, legend_below, line_style

ALL, SOME = 128, 32
"""Up to so many exponents all are computed; of more, so many."""
BLOCKS = 8
"""Of steps, whose means tell the standard error."""


NEUTRAL = 1e-5
"""An exponent no larger than this is none: distances halve or double in 70,000 steps, and float32 is no finer."""

FEW = 50
"""Steps below which a note says that they are few."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LyapunovSpectrum(Inspection):
    """Exponents per step; see `lyapunov_spectrum`."""

    title = "Lyapunov exponents"

    exponents: dict[str, Numbers]
    """By cell: from the largest down, per step, (N,); minus infinity where a direction is forgotten at once."""
    errors: dict[str, Numbers]
    """By cell: their standard errors, from blocks of steps and the rows of the batch."""
    sizes: dict[str, int]
    """By cell: how many exponents there are in all, N."""
    steps: int
    """That were counted, after the warm-up."""

    @property
    def largest(self) -> float:
        """The largest exponent of any cell."""
        return float(np.max([values[0] for values in self.exponents.values()]))  # NaN if any is

    @property
    def sums(self) -> dict[str, float]:
        """By cell, what the logarithm of a volume gains a step; NaN where not all exponents are known."""
        return {
            name: float(values.sum()) if len(values) == self.sizes[name] else math.nan
            for name, values in self.exponents.items()
        }

    @property
    def dimensions(self) -> dict[str, float]:
        """By cell, the Kaplan-Yorke dimension of what the states settle on; 0 where they follow the input alone."""
        return {name: kaplan_yorke(values, self.sizes[name]) for name, values in self.exponents.items()}

    @property
    def verdict(self) -> str:
        """One word: "chaotic", "stable" or "undecided", by two standard errors; "neutral" where it is zero."""
        name = max(self.exponents, key=lambda name: float(self.exponents[name][0]))
        value, error = float(self.exponents[name][0]), float(np.nan_to_num(self.errors[name][0]))
        if abs(value) <= NEUTRAL and error <= NEUTRAL:
            return "neutral"
        if np.isnan(value) or abs(value) <= 2 * error:
            return "undecided"
        return "chaotic" if value > 0 else "stable"

    @property
    def reading(self) -> str:
        """What the numbers say, in one sentence."""
        if math.isnan(self.largest):
            return "Some Jacobians are not finite, so the exponents are not known."
        largest = "0" if self.verdict == "neutral" else number(self.largest)
        endings = {
            "chaotic": "so neighbouring states part: it is chaotic",
            "stable": "so neighbouring states come together: it is stable, and not chaotic",
            "neutral": "so neighbouring states keep their distance: it is neither stable nor chaotic",
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
        if math.isnan(self.largest):
            return "Look for the step where it begins with rnnkit.inspection.exploding_steps."
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
        return {
            **super().to_json(),
            "sums": plain(self.sums),
            "dimensions": plain(self.dimensions),
            "verdict": self.verdict,
        }

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
    exponents: int | None = None,
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
        exponents: how many, the largest ones; None: all, of cells with more than 128 numbers in their state 32.
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
    check_whole("exponents", 1 if exponents is None else exponents)
    with studying(subject, inputs, Drawn(steps, batch_size, seed, options)) as study:
        check_states(study.subject)
        length = len(study.inputs)
        skipped = _skipped(warm_up, length)
        with torch.no_grad():
            passage = traverse(study.subject, study.xs)
        means: dict[str, tuple[Numbers, Numbers]] = {}
        sizes, notes = dict[str, int](), list[str]()
        for run in passage.runs:
            width = flatten(run.states[0]).shape[1]
            wanted = min(width, exponents or (width if width <= ALL else SOME))
            means[run.part.label] = _means(_stretching(run, skipped, wanted, study.generator))
            left_out = f"{run.part.label}: the {wanted} largest of {count(width, 'exponent')}; the others left out."
            notes += [left_out] if wanted < width else []
            sizes[run.part.label] = width
        if length - skipped < FEW:
            notes.append(f"Exponents of only {count(length - skipped, 'step')} say little; take some hundred steps.")
        return LyapunovSpectrum(
            subject=study.subject.label,
            notes=(*study.notes, *states_left_out(study.subject), *notes),
            exponents={name: values for name, (values, _) in means.items()},
            errors={name: errors for name, (_, errors) in means.items()},
            sizes=sizes,
            steps=length - skipped,
        )


def _skipped(warm_up: int | None, length: int) -> int:
    """Return how many steps are left out at first."""
    skipped = length // 4 if warm_up is None else warm_up
    check_whole("warm_up", skipped, least=0)
    if skipped >= length:
        raise UsageError(f"warm_up is {skipped}; it must leave some of the {count(length, 'step')}")
    return skipped


def _stretching(run: CellRun, skipped: int, wanted: int, generator: torch.Generator) -> Numbers:
    """Return the logarithm of what each step after the warm-up does to each direction: (T, B, K)."""
    kept = []
    start = flatten(run.states[0])
    drawn = torch.randn(*start.shape, wanted, generator=generator, dtype=torch.float64).to(start.device)
    basis = torch.linalg.qr(drawn).Q
    for step, (p, state) in enumerate(zip(run.projected, run.states[:-1], strict=True)):
        basis, triangles = torch.linalg.qr(step_products(run.part.cell, p, state, basis))
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


def kaplan_yorke(exponents: Numbers, size: int) -> float:
    """Return the Kaplan-Yorke dimension that the largest of `size` exponents stand for; NaN if these are too few."""
    sums = np.cumsum(exponents)
    if not len(sums) or not sums[0] >= 0:
        return 0.0
    last = int(np.flatnonzero(sums >= 0)[-1])
    if last + 1 == len(sums):
        return float(size) if len(sums) == size else math.nan
    return float(last + 1 + sums[last] / abs(exponents[last + 1]))
