"""Classification of sequences: one label for each text, or for each sequence of numbers.

`file` is one of these, in UTF-8:

- a folder with a sub-folder for each label, which holds texts (.txt) or sequences of numbers (.csv, a row a step);
- a table (CSV, TSV) with a column of texts and one of labels, found by their names (text, label, ...) or their looks,
  or named by `text` and `label`; what holds numbers, dates, or yes and no, is a column of texts only by its name;
- JSON lines: `{"text": "...", "label": "..."}`, or `{"sequence": [[...], ...], "label": "..."}` with an item a step.

Columns and keys beside these two are left out, and named as a run begins; an object with a key twice is refused.

Texts are read by characters, by words in lower case, or by bytes (`tokens`). What occurs less than twice in training is
one symbol, that of the unknown; of words the 20,000 most frequent are kept. Features of numbers are brought to mean 0
and deviation 1 as measured over the sequences that train. A sequence is read up to `max_len` steps; how many are cut is
said as a run begins, and kept with it.

Of each label 70 % of the sequences train, 15 % validate and 15 % are kept for a test, drawn by a fixed seed; `split`
gives other shares, and `test` names a file that is the test. A run keeps labels, vocabulary or scale, and the part of
each sequence, so that its model is judged as it was trained, whatever the file is now, and labels others without it.

Without a file: 720 made gestures of a pen, 15 to 45 points x, y each: circles drawn clockwise or counterclockwise,
eights and waves. Which way round a circle goes, only the order of its points tells.

Metric: accuracy. Compared with the most frequent label, and with naive Bayes on n-grams of 1 to 4 symbols (1 to 2 where
there are 1000 symbols or more), or with ridge regression on mean, deviation, least, greatest and last value of each
feature and the number of steps. Further figures: the macro F1, the mean of the labels' F1, and recall and number of
each label.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit_tasks.forecast.options import delimiter_of, header_of
from rnnkit_tasks.labelled.class_rivals import ClassRivals
from rnnkit_tasks.labelled.example import Examples
from rnnkit_tasks.labelled.gestures import gestures
from rnnkit_tasks.labelled.labeller import Labeller
from rnnkit_tasks.labelled.options import choice_of, name_of, shares_of
from rnnkit_tasks.labelled.padding import probabilities
from rnnkit_tasks.labelled.reading import read_examples
from rnnkit_tasks.labelled.scores import Scores
from rnnkit_tasks.labelled.split import HELD_OUT, TRAIN, drawn
from rnnkit_tasks.labelled.task import LabelledTask, Piece
from rnnkit_tasks.labelled.vocabulary import KINDS

WEIGHTS = ("none", "balanced")

SHOWN = 20
"""Labels of which further figures tell."""


class Classify(LabelledTask):
    """One label for each text or sequence of numbers in `file` (default: made gestures of a pen).

    Args:
        file: folder, table or JSON lines to learn; None: made gestures.
        test: a file like it, kept for a test; None: a part of `file` is.
        text: name of the column or key of the texts; None: found out.
        label: that of the labels; None: found out.
        tokens: char, word or byte: what a text is cut into.
        max_len: steps of a sequence that are read.
        weights: balanced: the loss counts each label alike, however rare it is; none: each sequence alike.
        split: shares that train, validate and are kept for a test, such as 70,15,15; None: these.
        delimiter: what stands between cells of a table; None: found out.
        header: yes or no: whether the first line of a table holds names; None: found out.
    """

    name = "classify"
    every_step = False
    defaults = MappingProxyType({"steps": 600, "batch": 32, "lr": 5e-3, "hidden": 32})

    def __init__(
        self,
        *,
        file: str | None = None,
        test: str | None = None,
        text: str | int | None = None,
        label: str | int | None = None,
        tokens: str = "char",
        max_len: int = 500,
        weights: str | None = None,
        split: str | Sequence[float] | None = None,
        delimiter: str | None = None,
        header: str | bool | None = None,
    ) -> None:
        self._set_options(file=file, test=test, max_len=max_len, weights=weights)
        reading = {
            "text": name_of(self.name, "text", text),
            "label": name_of(self.name, "label", label),
            "delimiter": delimiter_of(delimiter, self.name),
            "header": header_of(header, self.name),
        }
        shares = shares_of(self.name, split, test=test is not None)
        self._learn(reading, shares, choice_of(self.name, "tokens", tokens, KINDS))

    def _set_options(
        self,
        *,
        file: object = None,
        test: object = None,
        max_len: int = 500,
        weights: str | None = None,
        **others: Any,
    ) -> None:
        self._set_files(file, test, max_len)
        self.weights = choice_of(self.name, "weights", "none" if weights is None else weights, WEIGHTS)

    def _read(self, path: Path | None, reading: dict[str, Any], kept: bool) -> Examples:
        if path is None:
            return gestures()
        numeric = not self.symbols if kept else None
        return read_examples(path, reading, kept=kept, numeric=numeric)

    def _marked(self, examples: Examples, shares: Sequence[float]) -> str:
        return drawn(examples, shares)

    def _cut(self, steps: Tensor, places: Sequence[int]) -> list[Piece]:
        return [Piece(steps[: self.max_len], torch.tensor(places[0]))]

    def _told(self, lengths: Sequence[int]) -> str:
        long = sum(length > self.max_len for length in lengths)
        span = f"{min(lengths)} to {max(lengths)} steps"
        if not long:
            return span
        return f"{span}, {long} of {len(lengths)} sequences cut to the first {self.max_len} (max_len)"

    @cached_property
    def _importance(self) -> Tensor:
        """(K,) what a row of each label counts in the loss: 1 on average over those that train."""
        counts = torch.tensor(self._learnt.counts).to(torch.get_default_dtype())
        return counts.sum() / (len(counts) * counts.clamp(min=1))

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy in nats of the last output (B, K), each row by the weight of its label."""
        if self.weights == "none":
            return F.cross_entropy(outputs, targets)
        importance = self._importance.to(outputs)[targets]
        return (importance * F.cross_entropy(outputs, targets, reduction="none")).mean()

    def metric(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the share of sequences that are given their label."""
        return (outputs.argmax(-1) == targets).double().mean()

    def baselines(self) -> dict[str, float]:
        """The accuracies of the most frequent label, and of a simple model of n-grams or summaries."""
        steps, truth = self._part(HELD_OUT)
        return {method: float((given == truth).mean()) for method, given in self._rivals.given(steps).items()}

    def _part(self, mark: str) -> tuple[list[Tensor], NDArray[np.int64]]:
        """Return the steps of each sequence of a part, and the places of their labels (N,)."""
        pieces = self._pieces[mark]
        return [piece.steps for piece in pieces], np.array([int(piece.target) for piece in pieces])

    @cached_property
    def _rivals(self) -> ClassRivals:
        return ClassRivals.fitted(self._learnt, *self._part(TRAIN), *self._part(HELD_OUT))

    def further_figures(self, model: nn.Module) -> dict[str, float]:
        """Return the macro F1, and recall and number of the sequences that validate, label by label."""
        steps, truth = self._part(HELD_OUT)
        given = torch.stack(probabilities(model, steps, every_step=False)).argmax(1).numpy()
        scores = Scores.of(given, truth, len(self.labels))
        return {"macro F1": scores.mean(scores.f1), **dict(self._by_label(scores))}

    def _by_label(self, scores: Scores) -> Iterator[tuple[str, float]]:
        for label, recall, support in zip(self.labels[:SHOWN], scores.recall, scores.support, strict=False):
            yield f"recall of {label} ({support})", float(recall)

    def calibration(self, model: nn.Module) -> dict[str, Any]:
        """Return the simple methods, fitted."""
        return self._rivals.to_json()

    def predictor(self, model: nn.Module, calibration: Mapping[str, Any]) -> Labeller:
        """Return what labels the sequences kept for a test, or those of other files."""
        return Labeller(model, self._learnt, self.max_len, self._kept, calibration)


@rnnkit.hookimpl
def rnnkit_tasks() -> list[type[rnnkit.Task]]:
    """Offer the classification of sequences."""
    return [Classify]
