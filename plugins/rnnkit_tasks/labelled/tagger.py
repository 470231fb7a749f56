"""Labels of a trained model for each step of the sequences in a file, with probabilities, beside those of others."""

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import rnnkit
from rnnkit_tasks.labelled.example import Examples
from rnnkit_tasks.labelled.label_predictor import LabelPredictor, cut_and_unknown, of_scores
from rnnkit_tasks.labelled.learnt import Learnt
from rnnkit_tasks.labelled.padding import probabilities
from rnnkit_tasks.labelled.scores import OURS, score_rows, unbeaten
from rnnkit_tasks.labelled.spans import mark_spans, span_f1
from rnnkit_tasks.labelled.step_reading import read_steps
from rnnkit_tasks.labelled.step_rivals import StepRivals

Places = NDArray[np.int64]


class Tagger(LabelPredictor):
    """Gives a label to each step.

    Args:
        model: trained, in evaluation mode.
        learnt: what the run learnt of its data.
        kept: gives the sequences kept for a test.
        calibration: what the task's `calibration` returned, or {}.
    """

    def __init__(
        self, model: nn.Module, learnt: Learnt, kept: Callable[[], Examples], calibration: Mapping[str, Any]
    ) -> None:
        super().__init__(model, learnt, kept)
        self.rivals = StepRivals.from_json(calibration, learnt) if calibration else None

    def _read(self, path: Path) -> Examples:
        return read_steps(path, self.learnt.reading, kept=True)

    def _labelled(self, examples: Examples, where: str) -> rnnkit.Labelling:
        """Give a label to each step; each sequence is read from its beginning to its end, however long."""
        learnt = self.learnt
        steps = [learnt.encoded(example) for example in examples.items]
        actual = np.concatenate([np.array(learnt.places(example), dtype=np.int64) for example in examples.items])
        shares = torch.cat(probabilities(self.model, steps, every_step=True)).numpy()
        given = {OURS: shares.argmax(1), **(self.rivals.given(steps) if self.rivals else {})}
        bounds = [0, *accumulate(map(len, steps))]
        scores = score_rows(learnt.labels, given, actual, spans_f1(learnt.labels, given, actual, bounds))
        missing = int((actual < 0).sum())
        said = [f"{len(actual):,} step(s) of {len(steps)} sequence(s) {where}", *examples.notes]
        said += cut_and_unknown(learnt, steps, None)
        said += of_scores(scores, f"{missing:,} step(s)" if missing else "", self.rivals is not None)
        return rnnkit.Labelling(
            index=_index(examples),
            labels=tuple(learnt.labels),
            probabilities=shares,
            actual=actual,
            every=False,
            rows_are="steps",
            scores=scores,
            notes=(*said, *unbeaten(scores)),
        )


def spans_f1(
    labels: Sequence[str], given: Mapping[str, Places], actual: Places, bounds: Sequence[int]
) -> dict[str, float]:
    """Return the F1 of whole spans of each method; nothing where labels mark none, or not all are known.

    Args:
        labels: K names.
        given: (N,) places of the labels that each method gives to all steps, one sequence behind the other.
        actual: (N,) true ones.
        bounds: where each sequence begins, and N.
    """
    if not mark_spans(labels) or (actual < 0).any():
        return {}

    def named(places: Places) -> list[list[str]]:
        return [[labels[place] for place in places[first:last].tolist()] for first, last in pairwise(bounds)]

    truth = named(actual)
    return {method: span_f1(named(places), truth) for method, places in given.items()}


def _index(examples: Examples) -> dict[str, list[str]]:
    """Return where steps come from, by column: file and line, or numbers where they are of no file; and the token."""
    index: dict[str, list[str]] = {}
    if any(item.file for item in examples.items):
        index["file"] = [item.file for item in examples.items for _ in item.labels]
        index["line"] = [str(line) for item in examples.items for line in item.lines]
    else:
        index["sequence"] = [str(number) for number, item in enumerate(examples.items, 1) for _ in item.labels]
        index["step"] = [str(step) for item in examples.items for step in range(1, len(item.labels) + 1)]
    if not examples.numeric:
        index["token"] = [token for item in examples.items for token in item.content]
    return index
