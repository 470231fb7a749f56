"""Gradient flow and gates over the updates of a training."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from rnnkit.inspection.flow import GradientFlow
from rnnkit.inspection.gates import GateActivity
from rnnkit.inspection.result import Inspection, Values
from rnnkit.inspection.wording import count, number, percent
from rnnkit.support.figures import legend_below, line_style


class Snapshot(NamedTuple):
    """What was recorded after one update."""

    step: int
    left: dict[str, float | None]
    """By steps back: the norm of the gradient there, as a share of that one step back."""
    half_life: float | None
    closed: dict[str, float]
    """By gate: the share of units, steps and rows in the first tenth of its range."""
    open: dict[str, float]
    """The same for the last tenth."""

    @classmethod
    def of(cls, step: int, flow: GradientFlow, gates: GateActivity) -> "Snapshot":
        """Return what is kept of two inspections."""
        lags = sorted({max(1, round(len(flow.lags) * share)) for share in (0.125, 0.25, 0.5, 1.0)})
        left = {str(lag): _finite(flow.total[lag - 1] / flow.total[0] if flow.total[0] else math.nan) for lag in lags}
        closed = {gate.name: float(gate.closed.mean()) for gate in gates.gates}
        opened = {gate.name: float(gate.open.mean()) for gate in gates.gates}
        return cls(step, left, _finite(flow.half_life), closed, opened)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Snapshot":
        """Read what `_asdict` and JSON have made of one.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        left = {str(int(lag)): None if share is None else float(share) for lag, share in content["left"].items()}
        half_life = None if content["half_life"] is None else float(content["half_life"])
        closed, opened = ({str(k): float(v) for k, v in content[name].items()} for name in ("closed", "open"))
        return cls(int(content["step"]), left, half_life, closed, opened)


@dataclass(frozen=True, kw_only=True, eq=False)
class FlowOverTraining(Inspection):
    """How far gradients reach back, update after update."""

    title = "Gradient flow over training"

    steps: Values
    """Updates, (N,)."""
    left: dict[str, Values]
    """By steps back: the share of the gradient that is left, (N,); NaN where it is not finite."""

    @property
    def reading(self) -> str:
        """What the numbers say, in one sentence."""
        lag, shares = list(self.left.items())[-1]
        first, last = float(shares[0]), float(shares[-1])
        return (
            f"After {int(self.steps[0]):,} updates {number(first)} of the gradient is left {lag} steps back, after "
            f"{int(self.steps[-1]):,} updates {number(last)}."
        )

    @property
    def normal(self) -> str:
        """What is normal, in one sentence."""
        return "It rises within the first few hundred updates, as far back as the data ask for, and then stays."

    @property
    def advice(self) -> str:
        """What to do when it is not normal, in one sentence."""
        shares = np.concatenate(list(self.left.values()))
        if not np.isfinite(shares).all():
            return "A gradient is not finite: lower the learning rate, or clip by the norm."
        if shares.max() > 1e3:
            return "It explodes: clip gradients by their norm (--clip), or lower the learning rate."
        return "Where it stays low and the task needs a long memory, begin with an open forget gate or a chrono bias."

    def rows(self) -> list[tuple[str, str]]:
        """Return the main numbers, each with what it is."""
        return [
            (f"left {lag} steps back, first and last", f"{number(float(v[0]))}, {number(float(v[-1]))}")
            for lag, v in self.left.items()
        ]

    def _draw(self, axes: Any) -> None:
        for which, (lag, shares) in enumerate(self.left.items()):
            shown = np.where(shares > 0, shares, np.nan)
            label = count(int(lag), "step") + " back"
            axes.plot(self.steps, shown, label=label, linewidth=1.6, marker=".", **line_style(which))
        axes.set_xlabel("updates")
        axes.set_ylabel("share of the gradient that is left")
        axes.set_yscale("log")
        axes.grid(alpha=0.3)
        legend_below(axes)


@dataclass(frozen=True, kw_only=True, eq=False)
class GatesOverTraining(Inspection):
    """How much of the time gates are at the ends of their range, update after update."""

    title = "Saturated gates over training"

    steps: Values
    """Updates, (N,)."""
    saturated: dict[str, Values]
    """By gate: the share in the first and last tenth of its range together, (N,)."""

    @property
    def reading(self) -> str:
        """What the numbers say, in one sentence."""
        name, shares = max(self.saturated.items(), key=lambda item: float(item[1][-1]))
        if not any(values.any() for values in self.saturated.values()):
            return "No gate is saturated, at no time."
        return (
            f"Most saturated at the end is {name}: {percent(float(shares[-1]))}, {percent(float(shares[0]))} at first."
        )

    @property
    def normal(self) -> str:
        """What is normal, in one sentence."""
        return "The shares grow as gates learn to decide, and stay below about two thirds."

    @property
    def advice(self) -> str:
        """What to do when it is not normal, in one sentence."""
        if max(float(shares[-1]) for shares in self.saturated.values()) > 0.9:
            return (
                "A gate that is saturated nearly always learns nothing: lower the learning rate, or scale the inputs."
            )
        return "Nothing needs to be done."

    def rows(self) -> list[tuple[str, str]]:
        """Return the main numbers, each with what it is."""
        return [
            (f"{name}, first and last", f"{percent(float(v[0]))}, {percent(float(v[-1]))}")
            for name, v in self.saturated.items()
        ]

    def _draw(self, axes: Any) -> None:
        for which, (name, shares) in enumerate(self.saturated.items()):
            axes.plot(self.steps, shares, label=name, linewidth=1.6, marker=".", **line_style(which))
        axes.set_xlabel("updates")
        axes.set_ylabel("share in the first and last tenth")
        axes.set_ylim(0, 1)
        axes.grid(alpha=0.3)
        legend_below(axes)


def over_training(subject: str, snapshots: Sequence[Snapshot]) -> list[Inspection]:
    """Return what the snapshots of one training show; nothing of fewer than two."""
    if len(snapshots) < 2:
        return []
    steps = np.array([float(snapshot.step) for snapshot in snapshots])
    lags = sorted({lag for snapshot in snapshots for lag in snapshot.left}, key=int)
    left = {lag: np.array([_number(snapshot.left.get(lag)) for snapshot in snapshots]) for lag in lags}
    names = list(dict.fromkeys(name for snapshot in snapshots for name in snapshot.closed))
    saturated = {
        name: np.array([_number(s.closed.get(name)) + _number(s.open.get(name)) for s in snapshots]) for name in names
    }
    flow = FlowOverTraining(subject=subject, steps=steps, left=left)
    return [flow, *([GatesOverTraining(subject=subject, steps=steps, saturated=saturated)] if names else [])]


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _number(value: float | None) -> float:
    return math.nan if value is None else value
