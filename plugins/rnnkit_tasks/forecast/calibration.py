"""What was measured on the rows that validate, and is kept for forecasts: residuals, a linear model, a pace."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

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
    """(inputs + 1, K) of the linear model."""
    pace: Pace | None = None

    @classmethod
    def measured(
        cls, model: nn.Module, series: Tensor, values: Tensor, held_out: range, learnt: Learnt
    ) -> "Calibration":
        """Measure how far off a model is in the rows `held_out`; series (N, C) and values (N, K) are normalised."""
        ends = np.arange(held_out.start, held_out.stop) - learnt.horizon
        said = outputs(model, series.double().numpy(), ends, learnt.window)
        return cls(Residuals.measured(values[held_out.start : held_out.stop].double().numpy() - said))

    def to_json(self) -> dict[str, Any]:
        """Return what JSON takes; {}: the model gives no finite numbers."""
        if self.residuals is None or self.ridge is None or not np.isfinite(self.residuals.values).all():
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
        targets, inputs = len(learnt.roles.targets), len(learnt.roles.inputs)
        weights = np.array(values["ridge"], dtype=np.float64)
        if weights.ndim != 2 or weights.shape[1] != targets or (len(weights) - 1) % inputs or len(weights) < 2:
            raise ValueError(f"it has no linear model of {inputs} input(s) and {targets} target(s)")
        return cls(Residuals.from_json(values["residuals"], targets), weights, Pace.from_json(values["pace"]))
