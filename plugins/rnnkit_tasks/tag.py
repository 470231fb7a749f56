"""Tagging: a label for each step of a sequence, given as soon as the step is read.

`file` is one of these, in UTF-8:

- tokens in columns: a line has a token and, in its last column, the label, cut at tabs or blanks; a blank line stands
  between sequences. Comments (#) and -DOCSTART- lines are passed over, columns between the two are left out;
- a table (.csv, .tsv) whose rows are steps: columns of numbers, or one of tokens; a column of labels, found by its name
  (label, ...) or its looks, or named by `label`; and maybe one that tells sequences apart, called sequence, session or
  the like, or named by `key`. Without it the table is one sequence, which is cut into pieces of `max_len` rows.

A token that occurs less than twice in training is one symbol, that of the unknown. Features of numbers are brought to
mean 0 and deviation 1 as measured over the sequences that train. Sequences longer than `max_len` train and validate in
pieces, each from a fresh state, and a line says how many; predictions read them whole.

70 % of the sequences train, 15 % validate and 15 % are kept for a test, drawn by a fixed seed; pieces of one sequence
in their order, the first ones train. `split` gives other shares, and `test` names a file that is the test. A run keeps
labels, vocabulary or scale, and the part of each sequence.

Without a file: 600 made messages, in which names of persons, places and days are marked; most names are of two kinds,
and what stands before tells which.

Metric: accuracy, the share of steps that are given their label. Compared with the most frequent label, and with that of
each token, or with ridge regression on the step alone. Further figures: the macro F1, the mean of the labels' F1; and
where labels are B-NAME, I-NAME and O, the F1 of whole spans, of which name, beginning and end must be right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import rnnkit
from rnnkit.errors import DataError
from rnnkit_tasks._targets import LEFT_OUT, cross_entropy, share
from rnnkit_tasks.forecast.options import delimiter_of, header_of, names_of
from rnnkit_tasks.labelled.example import Example, Examples
from rnnkit_tasks.labelled.messages import messages
from rnnkit_tasks.labelled.options import name_of, shares_of
from rnnkit_tasks.labelled.padding import probabilities
from rnnkit_tasks.labelled.scores import OURS, macro_f1
from rnnkit_tasks.labelled.split import HELD_OUT, TRAIN, in_turn
from rnnkit_tasks.labelled.step_reading import read_steps
from rnnkit_tasks.labelled.step_rivals import StepRivals
from rnnkit_tasks.labelled.tagger import Tagger, spans_f1
from rnnkit_tasks.labelled.task import LabelledTask, Piece
from rnnkit_tasks.labelled.vocabulary import TOKEN


class Tag(LabelledTask):
    """A label for each step of the sequences in `file` (default: made messages with names).

    Args:
        file: tokens in columns, or a table, to learn; None: made messages.
        test: a file like it, kept for a test; None: a part of `file` is.
        label: name of the column of a table with the labels; None: found out.
        columns: names of those that are read; None: every other column of numbers, or the one of words.
        key: name of the column that tells sequences apart; None: found out, or the table is one sequence.
        max_len: steps of a piece that trains or validates.
        split: shares that train, validate and are kept for a test, such as 70,15,15; None: these.
        delimiter: what stands between cells of a table; None: found out.
        header: yes or no: whether the first line of a table holds names; None: found out.
    """

    name = "tag"
    defaults = MappingProxyType({"steps": 600, "batch": 32, "lr": 5e-3, "hidden": 64})

    def __init__(
        self,
        *,
        file: str | None = None,
        test: str | None = None,
        label: str | int | None = None,
        columns: str | Sequence[str] | None = None,
        key: str | int | None = None,
        max_len: int = 200,
        split: str | Sequence[float] | None = None,
        delimiter: str | None = None,
        header: str | bool | None = None,
    ) -> None:
        self._set_options(file=file, test=test, max_len=max_len)
        reading = {
            "label": name_of(self.name, "label", label),
            "columns": names_of("columns", columns, (), self.name) or None,
            "key": name_of(self.name, "key", key),
            "delimiter": delimiter_of(delimiter, self.name),
            "header": header_of(header, self.name),
        }
        self._learn(reading, shares_of(self.name, split, test=test is not None), TOKEN)

    def _set_options(self, *, file: object = None, test: object = None, max_len: int = 200, **others: Any) -> None:
        self._set_files(file, test, max_len)

    def _read(self, path: Path | None, reading: dict[str, Any], kept: bool) -> Examples:
        if path is None:
            return messages()
        examples = read_steps(path, reading, kept=kept)
        return _in_pieces(examples, self.max_len) if len(examples.items) == 1 else examples

    def _marked(self, examples: Examples, shares: Sequence[float]) -> str:
        count = len(examples.items)
        if count < 2:
            steps = len(examples.items[0].labels)
            raise DataError(
                f"{examples.source} is one sequence of {steps} step(s), and pieces of it of {self.max_len} train and "
                "validate; give another one, or a max_len below that"
            )
        return in_turn(count, shares, shuffled=not examples.pieces)

    def _cut(self, steps: Tensor, places: Sequence[int]) -> list[Piece]:
        target = torch.tensor(places)
        cuts = [slice(at, at + self.max_len) for at in range(0, len(steps), self.max_len)]
        return [Piece(steps[cut], target[cut]) for cut in cuts]

    def _told(self, lengths: Sequence[int]) -> str:
        long = sum(length > self.max_len for length in lengths)
        span = f"{min(lengths)} to {max(lengths)} steps"
        if not long:
            return span
        return f"{span}, {long} of {len(lengths)} sequences cut into pieces of {self.max_len} (max_len)"

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy in nats over the steps that are there, from outputs (T, B, K)."""
        return cross_entropy(outputs, targets)

    def metric(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the share of steps that are given their label."""
        return share(outputs.argmax(-1) == targets, targets != LEFT_OUT)

    def baselines(self) -> dict[str, float]:
        """The accuracies of the most frequent label, and of a simple method that knows the step alone."""
        steps, truth = self._held_out
        return {method: float((given == truth).mean()) for method, given in self._rivals.given(steps).items()}

    @cached_property
    def _held_out(self) -> tuple[list[Tensor], NDArray[np.int64]]:
        """The steps of each piece that validates, and the places of all labels, piece behind piece (N,)."""
        pieces = self._pieces[HELD_OUT]
        return [piece.steps for piece in pieces], torch.cat([piece.target for piece in pieces]).numpy()

    @cached_property
    def _rivals(self) -> StepRivals:
        training = self._pieces[TRAIN]
        steps, places = [piece.steps for piece in training], [piece.target for piece in training]
        return StepRivals.fitted(self._learnt, steps, places, *self._held_out)

    def further_figures(self, model: nn.Module) -> dict[str, float]:
        """Return the macro F1 of the steps that validate, and the F1 of whole spans where labels mark some."""
        steps, truth = self._held_out
        given = torch.cat(probabilities(model, steps, every_step=True)).argmax(1).numpy()
        bounds = [0, *accumulate(map(len, steps))]
        figures = {"macro F1": macro_f1(given, truth, len(self.labels))}
        methods = {OURS: given, **self._rivals.given(steps)}
        for method, f1 in spans_f1(self.labels, methods, truth, bounds).items():
            figures["span F1" if method == OURS else f"span F1 of {method}"] = f1
        return figures

    def calibration(self, model: nn.Module) -> dict[str, Any]:
        """Return the simple methods, fitted."""
        return self._rivals.to_json()

    def predictor(self, model: nn.Module, calibration: Mapping[str, Any]) -> Tagger:
        """Return what labels the steps of the sequences kept for a test, or of other files."""
        return Tagger(model, self._learnt, self._kept, calibration)


def _in_pieces(examples: Examples, most: int) -> Examples:
    """Cut the only sequence into pieces of at most so many steps."""
    whole = examples.items[0]
    cuts = [slice(at, at + most) for at in range(0, len(whole.labels), most)]
    items = [Example(whole.content[cut], whole.labels[cut], whole.file, whole.lines[cut]) for cut in cuts]
    return replace(examples, items=items, pieces=True)


@rnnkit.hookimpl
def rnnkit_tasks() -> list[type[rnnkit.Task]]:
    """Offer the tagging of steps."""
    return [Tag]
