"""What predicts labels, whether one a sequence or one a step: what is asked, and what is said of how good they are."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path

from torch import Tensor, nn

import rnnkit
from rnnkit.errors import UsageError
from rnnkit_tasks.labelled.example import Examples
from rnnkit_tasks.labelled.learnt import Learnt

NO_RIVALS = "no baselines: the run has not kept them, and its data have changed or are not at hand"

INTERVAL, ORIGINS = 0.9, "blocks"
"""What nobody has asked for otherwise."""


class LabelPredictor(rnnkit.Predictor):
    """Reads sequences and has them labelled; a subclass does so.

    Args:
        model: trained, in evaluation mode.
        learnt: what the run learnt of its data.
        kept: gives the sequences kept for a test.
    """

    def __init__(self, model: nn.Module, learnt: Learnt, kept: Callable[[], Examples]) -> None:
        self.model, self.learnt, self._kept = model, learnt, kept

    def predict(
        self,
        data: str | PathLike[str] | None = None,
        *,
        interval: float = INTERVAL,
        season: int | None = None,
        origins: str = ORIGINS,
    ) -> rnnkit.Labelling:
        """Label what is in a file, or in a folder where the run's own may be one.

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
        asked = {"interval": interval != INTERVAL, "season": season is not None, "from": origins != ORIGINS}
        for name, given in asked.items():
            if given:
                raise UsageError(f"{name} is of forecasts, and this run gives labels; leave it out")
        if data is None:
            return self._labelled(self._kept(), "kept for a test")
        examples = self._read(Path(data))
        self.learnt.check_alike(examples)
        return self._labelled(examples, f"in {examples.source}")

    @abstractmethod
    def _read(self, path: Path) -> Examples:
        """Read sequences as the run read its own."""

    @abstractmethod
    def _labelled(self, examples: Examples, where: str) -> rnnkit.Labelling:
        """Label sequences; `where` says which they are."""


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


def of_scores(scores: Sequence[rnnkit.LabelScore], missing: str, rivals: bool) -> list[str]:
    """Say what is not judged, `missing`, and how to read the scores; `rivals`: whether there are others' beside."""
    notes = [f"{missing} without a label are not held against the truth"] if missing else []
    if scores:
        notes += [] if rivals else [NO_RIVALS]
        notes.append("(all): precision, recall and F1 are means over the labels, each counting alike (macro)")
    return notes
