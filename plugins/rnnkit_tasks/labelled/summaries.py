"""Ridge regression on summaries of a sequence of numbers, for comparison.

Of each feature: mean, deviation, least, greatest and last value; and how many steps there are. The labels are targets
of 0 and 1, and the greatest forecast wins. The penalty is the one of five that validates best.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Places = NDArray[np.int64]

PENALTIES = (1.0, 1e-1, 1e-2, 1e-3, 1e-4)
"""Times the number of sequences; the largest first, which is taken where several do as well."""


@dataclass(frozen=True)
class Summaries:
    """A fitted model: `mean` and `scale` (F,) of the summaries, `weights` (F + 1, K), the bias last."""

    mean: Numbers
    scale: Numbers
    weights: Numbers

    @classmethod
    def fitted(
        cls, sequences: Sequence[Numbers], places: Places, judged: Sequence[Numbers], truth: Places, labels: int
    ) -> "Summaries":
        """Fit to sequences (T, D), with the place of each one's label (N,), and choose the penalty by others."""
        rows = summarised(sequences)
        mean, deviation = rows.mean(0), rows.std(0)
        scale: Numbers = np.where(deviation > 0, deviation, 1.0).astype(np.float64)
        inputs = _with_bias((rows - mean) / scale)
        penalised = np.ones(inputs.shape[1])
        penalised[-1] = 0
        targets = np.eye(labels)[places]
        found = []
        for penalty in PENALTIES:
            gram = inputs.T @ inputs + np.diag(penalty * len(rows) * penalised)
            found.append(cls(mean, scale, np.linalg.solve(gram, inputs.T @ targets)))
        return max(found, key=lambda model: float((model.given(judged) == truth).mean()))

    def given(self, sequences: Sequence[Numbers]) -> Places:
        """Return the place of the label of each sequence (N,)."""
        inputs = _with_bias((summarised(sequences) - self.mean) / self.scale)
        return np.asarray((inputs @ self.weights).argmax(1), dtype=np.int64)

    def to_json(self) -> dict[str, Any]:
        """Return what JSON takes."""
        return {"mean": self.mean.tolist(), "scale": self.scale.tolist(), "weights": self.weights.tolist()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], features: int, labels: int) -> "Summaries":
        """Read what `to_json` returned, of D features and K labels.

        Raises:
            LookupError, TypeError, ValueError: it is something else.
        """
        mean, scale, weights = (np.array(values[key], dtype=np.float64) for key in ("mean", "scale", "weights"))
        size = 5 * features + 1
        if mean.shape != (size,) or scale.shape != (size,) or weights.shape != (size + 1, labels):
            raise ValueError(f"it has no linear model of {features} features and {labels} labels")
        return cls(mean, scale, weights)


def summarised(sequences: Sequence[Numbers]) -> Numbers:
    """Return the summaries (N, 5 D + 1) of sequences (T, D)."""
    rows = [np.concatenate([s.mean(0), s.std(0), s.min(0), s.max(0), s[-1], [np.log(len(s))]]) for s in sequences]
    return np.stack(rows)


def _with_bias(rows: Numbers) -> Numbers:
    return np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
