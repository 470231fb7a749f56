"""Ridge regression from features to labels, for comparison.

Labels are targets of 0 and 1, and the greatest forecast wins. The penalty is the one of five that validates best.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Places = NDArray[np.int64]

PENALTIES = (1.0, 1e-1, 1e-2, 1e-3, 1e-4)
"""Times the number of rows; the largest first, which is taken where several do as well."""


@dataclass(frozen=True)
class LinearLabels:
    """A fitted model: `mean` and `scale` (F,) of the features, `weights` (F + 1, K), the bias last."""

    mean: Numbers
    scale: Numbers
    weights: Numbers

    @classmethod
    def fitted(cls, rows: Numbers, places: Places, judged: Numbers, truth: Places, labels: int) -> "LinearLabels":
        """Fit to rows (N, F), with the place of each one's label (N,), and choose the penalty by others (M, F)."""
        mean, deviation = rows.mean(0), rows.std(0)
        scale: Numbers = np.where(deviation > 0, deviation, 1.0).astype(np.float64)
        inputs = _with_bias((rows - mean) / scale)
        penalised = np.ones(inputs.shape[1])
        penalised[-1] = 0
        gram, cross = inputs.T @ inputs, inputs.T @ np.eye(labels)[places]
        found = []
        for penalty in PENALTIES:
            weights = np.linalg.solve(gram + np.diag(penalty * len(rows) * penalised), cross)
            found.append(cls(mean, scale, np.asarray(weights, dtype=np.float64)))
        return max(found, key=lambda model: float((model.given(judged) == truth).mean()))

    def given(self, rows: Numbers) -> Places:
        """Return the place of the label of each row (N,)."""
        inputs = _with_bias((rows - self.mean) / self.scale)
        return np.asarray((inputs @ self.weights).argmax(1), dtype=np.int64)

    def to_json(self) -> dict[str, Any]:
        """Return what JSON takes."""
        return {"mean": self.mean.tolist(), "scale": self.scale.tolist(), "weights": self.weights.tolist()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], features: int, labels: int) -> "LinearLabels":
        """Read what `to_json` returned, of F features and K labels.

        Raises:
            LookupError, TypeError, ValueError: it is something else.
        """
        mean, scale, weights = (np.array(values[key], dtype=np.float64) for key in ("mean", "scale", "weights"))
        if mean.shape != (features,) or scale.shape != (features,) or weights.shape != (features + 1, labels):
            raise ValueError(f"it has no linear model of {features} features and {labels} labels")
        return cls(mean, scale, weights)


def summarised(sequences: Sequence[Numbers]) -> Numbers:
    """Return of sequences (T, D) the mean, deviation, least, greatest and last value of each feature, and log T.

    Returns: (N, 5 D + 1).
    """
    rows = [np.concatenate([s.mean(0), s.std(0), s.min(0), s.max(0), s[-1], [np.log(len(s))]]) for s in sequences]
    return np.stack(rows)


def _with_bias(rows: Numbers) -> Numbers:
    return np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
