"""Labels of a trained model for sequences in a file, with probabilities, beside those of simple methods."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import rnnkit
from rnnkit_tasks.labelled.class_rivals import ClassRivals
from rnnkit_tasks.labelled.example import Examples
from rnnkit_tasks.labelled.label_predictor import LabelPredictor, cut_and_unknown, of_scores
from rnnkit_tasks.labelled.learnt import Learnt
from rnnkit_tasks.labelled.padding import probabilities
from rnnkit_tasks.labelled.reading import read_examples
from rnnkit_tasks.labelled.scores import OURS, score_rows, unbeaten
from rnnkit_tasks.labelled.split import relative


class Labeller(LabelPredictor):
    """Gives a label to each sequence.

    Args:
        model: trained, in evaluation mode.
        learnt: what the run learnt of its data.
        max_len: steps of a sequence that are read.
        kept: gives the sequences kept for a test.
        calibration: what the task's `calibration` returned, or {}.
    """

    def __init__(
        self,
        model: nn.Module,
        learnt: Learnt,
        max_len: int,
        kept: Callable[[], Examples],
        calibration: Mapping[str, Any],
    ) -> None:
        super().__init__(model, learnt, kept)
        self.max_len = max_len
        self.rivals = ClassRivals.from_json(calibration, learnt) if calibration else None

    def _read(self, path: Path) -> Examples:
        return read_examples(path, self.learnt.reading, kept=True, numeric=self.learnt.vocabulary is None)

    def _labelled(self, examples: Examples, where: str) -> rnnkit.Labelling:
        """Give a label to each sequence."""
        learnt = self.learnt
        items = examples.items
        whole = [learnt.encoded(example) for example in items]
        steps = [sequence[: self.max_len] for sequence in whole]
        actual = np.array([learnt.places(example)[0] for example in items], dtype=np.int64)
        shares = torch.stack(probabilities(self.model, steps, every_step=False)).numpy()
        given = {OURS: shares.argmax(1), **(self.rivals.given(steps) if self.rivals else {})}
        scores = score_rows(learnt.labels, given, actual)
        missing = int((actual < 0).sum())
        said = [f"{len(items)} sequence(s) {where}", *examples.notes, *cut_and_unknown(learnt, whole, self.max_len)]
        said += of_scores(scores, f"{missing} sequence(s)" if missing else "", self.rivals is not None)
        return rnnkit.Labelling(
            index=index_of(examples),
            labels=tuple(learnt.labels),
            probabilities=shares,
            actual=actual,
            scores=scores,
            notes=(*said, *unbeaten(scores)),
        )


def index_of(examples: Examples) -> dict[str, list[str]]:
    """Return where sequences come from, by column: file and line, or a number where they are of no file."""
    items, source = examples.items, examples.source
    if not any(item.file for item in items):
        return {"sequence": [str(number + 1) for number in range(len(items))]}
    files = [relative(item.file, source) if Path(source).is_dir() else item.file for item in items]
    lines = {"line": [str(item.lines[0]) for item in items]} if all(item.lines for item in items) else {}
    return {"file": files, **lines}
