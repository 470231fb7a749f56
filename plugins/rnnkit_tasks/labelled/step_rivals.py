"""Simple methods that a model with a label a step is held against; none looks beyond the step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnkit_tasks.labelled.learnt import Learnt
from rnnkit_tasks.labelled.linear_labels import LinearLabels

Places = NDArray[np.int64]

MAJORITY, TOKEN, RIDGE = "majority label", "majority of the token", "ridge on the step"


@dataclass(frozen=True)
class StepRivals:
    """Fitted to what trains: the most frequent label, and that of each token, or ridge regression on the step."""

    majority: int
    """Its place."""
    model: Places | LinearLabels
    """Of each symbol the place of its most frequent label (V,); of numbers a linear model."""

    @classmethod
    def fitted(
        cls, learnt: Learnt, steps: Sequence[Tensor], places: Sequence[Tensor], judged: Sequence[Tensor], truth: Places
    ) -> "StepRivals":
        """Fit to sequences (T,) or (T, D) and the places of their labels (T,); the penalty of ridge goes by others."""
        labels, majority = len(learnt.labels), int(np.argmax(learnt.counts))
        known = torch.cat(list(places)).numpy()
        if learnt.vocabulary is None:
            rows, others = (torch.cat(list(part)).double().numpy() for part in (steps, judged))
            return cls(majority, LinearLabels.fitted(rows, known, others, truth, labels))
        size = learnt.vocabulary.size
        counts = np.bincount(torch.cat(list(steps)).numpy() * labels + known, minlength=size * labels)
        times = counts.reshape(size, labels)
        return cls(majority, np.where(times.any(1), times.argmax(1), majority).astype(np.int64))

    def given(self, sequences: Sequence[Tensor]) -> dict[str, Places]:
        """Return the places of the labels that each method gives to all steps, one sequence behind the other."""
        steps = torch.cat(list(sequences)).numpy()
        most = np.full(len(steps), self.majority, dtype=np.int64)
        if isinstance(self.model, LinearLabels):
            return {MAJORITY: most, RIDGE: self.model.given(steps.astype(np.float64))}
        return {MAJORITY: most, TOKEN: self.model[steps]}

    def to_json(self) -> dict[str, Any]:
        """Return what JSON takes."""
        model = self.model.to_json() if isinstance(self.model, LinearLabels) else self.model.tolist()
        return {"majority": self.majority, "model": model}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], learnt: Learnt) -> "StepRivals":
        """Read what `to_json` returned.

        Raises:
            LookupError, TypeError, ValueError: it is something else.
        """
        labels, majority = len(learnt.labels), learnt.checked_place(values["majority"])
        if learnt.vocabulary is None:
            return cls(majority, LinearLabels.from_json(values["model"], len(learnt.names), labels))
        places = np.array(values["model"], dtype=np.int64)
        if places.shape != (learnt.vocabulary.size,) or not ((places >= 0) & (places < labels)).all():
            raise ValueError("it has no label of each symbol")
        return cls(majority, places)
