"""Gate activity: how open gates are, and which of their units are stuck."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnnkit.inspection.gate_names import Gates
from rnnkit.inspection.gate_values import GateVisitor, choose_names, gates_of_all
from rnnkit.inspection.passage import traverse
from rnnkit.inspection.result import Inspection, Numbers
from rnnkit.inspection.study import Drawn, studying
from rnnkit.inspection.wording import count, listed, percent
from rnnkit.support.figures import COLOURS, legend_below

BINS = 20
"""Of a histogram."""
STUCK = 0.99
"""A unit is stuck that is near the same end of its range for more than this share of all steps and rows."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Gate:
    """The values of one gate over all steps, rows and units."""

    name: str
    low: float
    """Where its range begins."""
    high: float
    """Where it ends; infinite for relu, of which only zeros are counted as closed."""
    mean: float
    over_time: Numbers
    """Mean at each step, (T,)."""
    closed: Numbers
    """For each unit the share of steps and rows in the first tenth of the range, (H,)."""
    open: Numbers
    """The same for the last tenth."""
    histogram: Numbers
    """Shares in equal bins from `low` to `high`, or to the largest value if that is infinite."""
    edges: Numbers
    """Of the bins."""

    @property
    def ends(self) -> tuple[str, str]:
        """What it is at either end: closed or open where its range begins at 0, else near -1 or near +1."""
        return ("closed", "open") if self.low == 0 else (f"near {self.low:+.2g}", f"near {self.high:+.2g}")

    @property
    def stuck(self) -> float:
        """The share of units that are nearly always at one and the same end."""
        return float(np.mean((self.closed > STUCK) | (self.open > STUCK)))


@dataclass(frozen=True, kw_only=True, eq=False)
class GateActivity(Inspection):
    """How open the gates of all cells are; see `gate_activity`."""

    title = "Gates"

    gates: tuple[Gate, ...]
    """One for each gate of each cell; of a stack called "f_l0", "f_l1_reverse"."""

    @property
    def stuck(self) -> list[Gate]:
        """The gates more than half of whose units are stuck."""
        return [gate for gate in self.gates if gate.stuck > 0.5]

    @property
    def reading(self) -> str:
        """What the numbers say, in one sentence."""
        if not self.gates:
            return "No activation runs in the step, so there is no gate to look at."
        unknown = [gate.name for gate in self.gates if not math.isfinite(gate.mean)]
        if unknown:
            return f"Not finite are values of {listed(unknown)}."
        if self.stuck:
            ends = [f"{gate.name} ({percent(gate.stuck)} of its units)" for gate in self.stuck]
            return f"Stuck at an end of their range are {listed(ends)}."
        busiest = max(self.gates, key=lambda gate: float(gate.closed.mean() + gate.open.mean()))
        low, high = busiest.ends
        if not (busiest.closed.any() or busiest.open.any()):
            return f"Of {count(len(self.gates), 'gate')} none is stuck, and none ever comes near an end of its range."
        return (
            f"Of {count(len(self.gates), 'gate')} none is stuck; nearest to the ends is {busiest.name}, {low} for "
            f"{percent(float(busiest.closed.mean()))} and {high} for {percent(float(busiest.open.mean()))} of the time."
        )

    @property
    def normal(self) -> str:
        """What is normal, in one sentence."""
        return (
            "New gates are mostly in between; after training some units are at an end for most of the time, and few "
            "for all of it."
        )

    @property
    def advice(self) -> str:
        """What to do when it is not normal, in one sentence."""
        if not self.gates:
            return "Name local variables of the step by gates=, to see their values."
        if not all(math.isfinite(gate.mean) for gate in self.gates):
            return "Look for the step where it begins with rnnkit.inspection.record."
        if self.stuck:
            return "A stuck gate learns nothing: scale the inputs, lower the learning rate, or bring its bias near 0."
        return "Nothing needs to be done."

    def rows(self) -> list[tuple[str, str]]:
        """Return the main numbers, each with what it is."""
        return [
            (
                gate.name,
                f"mean {gate.mean:.2f}, {gate.ends[0]} {percent(float(gate.closed.mean()))}, "
                f"{gate.ends[1]} {percent(float(gate.open.mean()))}, stuck {percent(gate.stuck)}",
            )
            for gate in self.gates
        ]

    def _height(self) -> float:
        return max(super()._height(), 1.6 + 0.22 * len(self.gates))

    def _draw(self, axes: Any) -> None:
        places = np.linspace(0, 1, BINS + 1)
        for which, gate in enumerate(self.gates):
            heights = 0.8 * gate.histogram / max(float(gate.histogram.max()), 1e-12)
            label = "how often" if which == 0 else None
            axes.stairs(heights - which, places, baseline=-which, fill=True, color=COLOURS[0], alpha=0.8, label=label)
            ends = f"{percent(float(gate.closed.mean()))}, {percent(float(np.nan_to_num(gate.open.mean())))}"
            axes.text(1.02, 0.15 - which, ends, transform=axes.get_yaxis_transform(), fontsize="small")
        axes.axvspan(
            0, 0.1, color=COLOURS[1], alpha=0.15, linewidth=0, label="first and last tenth: shares at the right"
        )
        axes.axvspan(0.9, 1, color=COLOURS[1], alpha=0.15, linewidth=0)
        axes.set_yticks([-which for which in range(len(self.gates))], [gate.name for gate in self.gates])
        axes.set_xlim(0, 1)
        axes.set_ylim(0.15 - max(1, len(self.gates)), 1)
        axes.set_xlabel("place in the range of the gate, from its least to its largest value")
        axes.set_ylabel("gate")
        if self.gates:
            legend_below(axes)


def gate_activity(
    subject: Any,
    inputs: Any = None,
    *,
    gates: Sequence[str] | None = None,
    steps: int = 64,
    batch_size: int = 8,
    seed: int = 0,
    **options: Any,
) -> GateActivity:
    """Return how open the gates of every cell are, and how much of the time they are at the ends of their range.

    A gate is the result of an activation (sigmoid, tanh, hardsigmoid, hardtanh, softsign, softmax, relu) that the step
    calls. It takes its name from the cell's `gates`, or from the local variable of `step` that holds it, or else from
    what it is computed from: "tanh(c)".

    Args:
        subject: a cell's name, expression or class, a Cell, an `rnnkit.RNN` or an `rnnkit.Model`.
        inputs: as the subject takes them, (T, B, D), or symbols (T, B); None: from a standard normal distribution.
        gates: which are looked at: names of gates ("f", or in a stack also "f_l0"), or of local variables of `step`
            that hold a tensor as it returns; None: all gates.
        steps: T, where inputs are drawn.
        batch_size: B, where inputs are drawn.
        seed: of everything that is drawn.
        **options: `input_size` (8), `hidden_size` (32) and the cell's own, for a cell by name or class.

    Raises:
        UsageError: an argument that cannot be honoured. ShapeError: inputs that do not fit.

    Source: Karpathy, Johnson & Fei-Fei, "Visualizing and Understanding Recurrent Networks", arXiv 1506.02078, 2015,
    where a gate is saturated in the first and last tenth of its range.
    """
    with studying(subject, inputs, Drawn(steps, batch_size, seed, options)) as study:
        named = gates_of_all(study.subject, study.xs.detach(), study.generator)
        chosen, variables = choose_names(named, gates)
        visitor = GateVisitor(named, variables)
        with torch.no_grad():
            passage = traverse(study.subject, study.xs, visitor)
        backwards = {run.part.suffix for run in passage.runs if run.part.reverse}
        return GateActivity(
            subject=study.subject.label,
            notes=(*study.notes, *_notes(study.subject.label, named)),
            gates=tuple(
                _gate(name, values, visitor, backwards)
                for name, values in visitor.values.items()
                if name in chosen or name not in visitor.gates
            ),
        )


def _notes(label: str, named: dict[str, Gates]) -> list[str]:
    return list(dict.fromkeys(f"{label}: {note}" for of in named.values() for note in of.notes))


def _gate(name: str, values: list[Tensor], visitor: GateVisitor, backwards: set[str]) -> Gate:
    """Summarise the values of one gate, (B, ...) a step; of complex ones their absolute values."""
    reverse = any(suffix and name.endswith(suffix) for suffix in backwards)
    together = torch.stack(values[::-1] if reverse else values)
    together = together.abs() if together.is_complex() else together.double()
    stacked = together.reshape(len(values), values[0].shape[0] if values[0].ndim else 1, -1).cpu().numpy()
    low, high = visitor.gates[name].range if name in visitor.gates else _span(stacked)
    end = high if math.isfinite(high) else max(float(stacked.max()), low + 1e-12)
    tenth = (high - low) / 10
    closed = stacked <= low + tenth if math.isfinite(tenth) else stacked <= low
    opened = stacked >= high - tenth if math.isfinite(tenth) else np.zeros_like(closed)
    counts, edges = np.histogram(np.clip(stacked, low, end), BINS, (low, end))
    return Gate(
        name=name,
        low=low,
        high=high,
        mean=float(stacked.mean()),
        over_time=stacked.mean((1, 2)),
        closed=closed.mean((0, 1)),
        open=opened.mean((0, 1)),
        histogram=counts / stacked.size,
        edges=edges,
    )


def _span(values: Numbers) -> tuple[float, float]:
    """Return where the values of a local variable lie, which has no range of its own."""
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)
