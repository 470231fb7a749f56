"""Labels of a trained model for sequences in a file, with probabilities, beside those of simple methods."""

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import rnnkit
from rnnkit.errors import UsageError
from rnnkit_tasks.labelled.class_rivals import ClassRivals
from rnnkit_tasks.labelled.example import Examples
from rnnkit_tasks.labelled.learnt import Learnt
from rnnkit_tasks.labelled.padding import probabilities
from rnnkit_tasks.labelled.reading import read_examples
from rnnkit_tasks.labelled.scores import OURS, score_rows, unbeaten
from rnnkit_tasks.labelled.split import relative

NO_RIVALS = "no baselines: the run has not kept them, and its data have changed or are not at hand"

INTERVAL, ORIGINS = 0.9, "blocks"
"""What nobody has asked for otherwise."""


class Labeller(rnnkit.Predictor):
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
        self.model, self.learnt, self.max_len, self._kept = model, learnt, max_len, kept
        self.rivals = ClassRivals.from_json(calibration, learnt) if calibration else None

    def predict(
        self,
        data: str | PathLike[str] | None = None,
        *,
        interval: float = INTERVAL,
        season: int | None = None,
        origins: str = ORIGINS,
    ) -> rnnkit.Labelling:
        """Label the sequences of a file or folder.

        Args:
            data: of the same kind as the run's own, with labels or without; None: those of the run's own that are kept
                for a test.
            interval: labels have none; leave it as it is.
            season: nor this.
            origins: nor this.

        Raises:
            UsageError: an interval, a season or origins were asked for, or nothing is kept for a test.
            DataError: the data are missing or unfit, or have a label that the run does not know.
        """
        check_no_bounds(interval, season, origins)
        learnt = self.learnt
        if data is None:
            examples = self._kept()
        else:
            examples = read_examples(Path(data), learnt.reading, kept=True, numeric=learnt.vocabulary is None)
            learnt.check_alike(examples)
        items = examples.items
        whole = [learnt.encoded(example) for example in items]
        steps = [sequence[: self.max_len] for sequence in whole]
        actual = np.array([learnt.places(example)[0] for example in items], dtype=np.int64)
        shares = torch.stack(probabilities(self.model, steps, every_step=False)).numpy()
        given = {OURS: shares.argmax(1), **(self.rivals.given(steps) if self.rivals else {})}
        scores = score_rows(learnt.labels, given, actual)
        what = "kept for a test" if data is None else f"in {examples.source}"
        missing = int((actual < 0).sum())
        said = [f"{len(items)} sequence(s) {what}", *examples.notes, *cut_and_unknown(learnt, whole, self.max_len)]
        if missing:
            said.append(f"{missing} sequence(s) without a label are not held against the truth")
        if scores and self.rivals is None:
            said.append(NO_RIVALS)
        if scores:
            said.append("(all): precision, recall and F1 are means over the labels, each counting alike (macro)")
        return rnnkit.Labelling(
            index=index_of(examples),
            labels=tuple(learnt.labels),
            probabilities=shares,
            actual=actual,
            scores=scores,
            notes=(*said, *unbeaten(scores)),
        )


def check_no_bounds(interval: float, season: int | None, origins: str) -> None:
    """Raise UsageError if an interval, a season or origins are asked for, which labels have not."""
    asked = {"interval": interval != INTERVAL, "season": season is not None, "from": origins != ORIGINS}
    for name, given in asked.items():
        if given:
            raise UsageError(f"{name} is of forecasts, and this run gives labels; leave it out")


def cut_and_unknown(learnt: Learnt, whole: Sequence[Tensor], most: int | None) -> list[str]:
    """Say how many sequences are cut, and how much of them is unknown to the run."""
    notes = []
    long = [len(sequence) for sequence in whole if most is not None and len(sequence) > most]
    if long:
        notes.append(f"{len(long)} of {len(whole)} sequence(s) are cut to {most} of up to {max(long)} steps (max_len)")
    if learnt.vocabulary is not None:
        strange = sum(learnt.vocabulary.unknown(sequence.numpy()) for sequence in whole)
        total = sum(map(len, whole))
        if strange:
            notes.append(f"{strange:,} of {total:,} symbols ({strange / total:.1%}) are unknown to the run")
    return notes


def index_of(examples: Examples) -> dict[str, list[str]]:
    """Return where sequences come from, by column: file and line, or a number where they are of no file."""
    items, source = examples.items, examples.source
    if not any(item.file for item in items):
        return {"sequence": [str(number + 1) for number in range(len(items))]}
    files = [relative(item.file, source) if Path(source).is_dir() else item.file for item in items]
    lines = {"line": [str(item.lines[0]) for item in items]} if all(item.lines for item in items) else {}
    return {"file": files, **lines}
