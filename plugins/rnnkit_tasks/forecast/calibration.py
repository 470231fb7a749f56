"""What was measured on the rows that validate, and is kept for forecasts: residuals, a linear model, a pace."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from rnnkit_tasks.forecast.frame import Frame
from rnnkit_tasks.forecast.learnt import Learnt
from rnnkit_tasks.forecast.outputs import outputs
from rnnkit_tasks.forecast.pace import Pace
from rnnkit_tasks.forecast.residuals import Residuals

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """What was measured on the rows that validate."""

    residuals: Residuals | None = None
    ridge: Numbers | None = None
    """(inputs + 1, steps x K) of the linear model."""
    pace: Pace | None = None

    @classmethod
    def measured(
        cls, model: nn.Module, frame: Frame, learnt: Learnt, ridge: Numbers, pace: Pace | None
    ) -> "Calibration":
        """Measure how far off a model is in the rows that are held out of a frame."""
        rows = np.concatenate([np.arange(part.start, part.stop) for part in learnt.parts.held_out])
        said = medians(outputs(model, frame.windows, rows - learnt.horizon), learnt)
        truth = frame.normal.double().numpy()[rows[:, None] + np.arange(1 - learnt.span, 1)]
        return cls(Residuals.measured((truth - said).reshape(len(rows), -1)), ridge, pace)

    def to_json(self) -> dict[str, Any]:
        """Return what JSON takes; {}: the model gives no finite numbers."""
        if self.residuals is None or self.ridge is None or not self.residuals.total:
            return {}
        if not np.isfinite(self.residuals.values).all():
            return {}
        pace = None if self.pace is None else self.pace.to_json()
        return {"residuals": self.residuals.to_json(), "ridge": self.ridge.tolist(), "pace": pace}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], learnt: Learnt) -> "Calibration":
        """Read what `to_json` returned; {} is of a run that has measured nothing.

        Raises:
            LookupError, TypeError, ValueError: it is something else.
        """
        if not values:
            return cls()
        targets, inputs = learnt.span * len(learnt.roles.targets), learnt.input_size
        weights = np.array(values["ridge"], dtype=np.float64)
        if weights.ndim != 2 or weights.shape[1] != targets or (len(weights) - 1) % inputs or len(weights) < 2:
            raise ValueError(f"it has no linear model of {inputs} input(s) and {targets} target(s)")
        return cls(Residuals.from_json(values["residuals"], targets), weights, Pace.from_json(values["pace"]))


def medians(said: Numbers, learnt: Learnt) -> Numbers:
    """Return the forecasts (M, steps, K) among outputs (M, steps x K x Q)."""
    return quantiles(said, learnt)[..., learnt.quantiles.index(0.5) if learnt.quantiles else 0]


def quantiles(said: Numbers, learnt: Learnt) -> Numbers:
    """Return outputs as (M, steps, K, Q); Q is 1 where none were asked for."""
    return said.reshape(len(said), learnt.span, len(learnt.roles.targets), max(1, len(learnt.quantiles)))
