"""What tasks over files with labels have in common: parts, batches of padded sequences, and what a run keeps."""

import hashlib
import logging
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

import rnnkit
from rnnkit import Batch
from rnnkit.errors import DataError, UsageError, check_whole
from rnnkit_tasks._targets import LEFT_OUT
from rnnkit_tasks.labelled.example import Example, Examples, labels_of
from rnnkit_tasks.labelled.learnt import Learnt
from rnnkit_tasks.labelled.padding import by_length, padded
from rnnkit_tasks.labelled.split import HELD_OUT, TEST, TRAIN, Split, digest_of, relative
from rnnkit_tasks.labelled.units import units_of

log = logging.getLogger("rnnkit.tasks")


class Piece(NamedTuple):
    """What a row of a batch is."""

    steps: Tensor
    """(T, D) numbers or (T,) symbols."""
    target: Tensor
    """The place of its label, (); or those of its steps (T,)."""


class LabelledTask(rnnkit.Task):
    """Sequences with labels from a file; a subclass reads it, and says how a sequence becomes rows of a batch."""

    metric_name = "accuracy"
    higher_is_better = True
    files = ("file", "test")

    labels: list[str]
    """K names; an output has one number for each."""

    max_len: int

    _paths: dict[str, Path | None]
    _learnt: Learnt
    _split: Split
    _tests: int
    """Sequences in a test file."""
    _summary: str

    @abstractmethod
    def _read(self, path: Path | None, reading: dict[str, Any], kept: bool) -> Examples:
        """Read a file, or give the default sequences; `kept`: for a finished run, as `reading` says."""

    @abstractmethod
    def _marked(self, examples: Examples, shares: Sequence[float]) -> str:
        """Return the part of each sequence."""

    @abstractmethod
    def _cut(self, steps: Tensor, places: Sequence[int]) -> list[Piece]:
        """Return the rows that a sequence gives; `places`: of its labels."""

    @abstractmethod
    def _told(self, lengths: Sequence[int]) -> str:
        """Say how many sequences of these lengths are cut; "" if none is."""

    def _learn(self, reading: dict[str, Any], shares: Sequence[float], tokens: str) -> None:
        """Read the files, divide them into parts, and measure the one that trains."""
        file, test = self._paths["file"], self._paths["test"]
        examples = self._read(file, reading, False)
        labels = labels_of(examples)
        folder = file is not None and file.is_dir()
        files = tuple(relative(example.file, examples.source) for example in examples.items) if folder else ()
        alone = file is not None and not folder and not examples.pieces
        digests = tuple(map(digest_of, examples.items)) if alone else ()
        split = Split(self._marked(examples, shares), files, digests)
        training = [examples.items[place] for place in split.places(TRAIN)]
        learnt = Learnt.of(labels, training, examples.names, tokens, examples.reading)
        if learnt.vocabulary is not None:
            learnt.vocabulary.check(examples.source)
        self._take(learnt, split, 0, "")
        tests = [] if test is None else self._test_examples(learnt)
        self._tests = len(tests)
        self._examples = self._divided(examples.items, tests)
        self._summary = self._said(examples)
        log.info("%s: %s", examples.source, self._summary)

    def _test_examples(self, learnt: Learnt) -> list[Example]:
        """Read the file that is a test; every label must be known."""
        examples = self._read(self._paths["test"], learnt.reading, True)
        learnt.check_alike(examples)
        for example in examples.items:
            learnt.check_labelled(example)
        return examples.items

    def _take(self, learnt: Learnt, split: Split, tests: int, summary: str) -> None:
        """Set what was learnt of the data, and the sizes that follow."""
        self._learnt, self._split, self._tests, self._summary = learnt, split, tests, summary
        self.labels = learnt.labels
        self.symbols = learnt.vocabulary is not None
        self.input_size, self.output_size = learnt.input_size, len(learnt.labels)

    def _divided(self, items: Sequence[Example], tests: Sequence[Example]) -> dict[str, list[Example]]:
        parts = {mark: [items[place] for place in self._split.places(mark)] for mark in (TRAIN, HELD_OUT, TEST)}
        parts[TEST] += tests
        return parts

    def _said(self, examples: Examples) -> str:
        """Return the line that says what is used of the data, as what, and what is left out."""
        learnt, parts = self._learnt, self._examples
        counts = {mark: len(part) for mark, part in parts.items()}
        trained = ", ".join(f"{label} {count}" for label, count in zip(self.labels[:20], learnt.counts, strict=False))
        more = f", and {len(self.labels) - 20} more" if len(self.labels) > 20 else ""
        steps = f"features: {', '.join(learnt.names)}" if learnt.names else f"symbols: {learnt.vocabulary}"
        where = " (a file of its own)" if self._tests else ""
        notes = [
            *examples.notes,
            steps,
            f"{counts[TRAIN]} train, {counts[HELD_OUT]} validate, {counts[TEST]} kept for a test{where}",
            f"labels that train: {trained}{more}",
            self._told(self._lengths),
        ]
        return "; ".join(filter(None, notes))

    @cached_property
    def _examples(self) -> dict[str, list[Example]]:
        """The sequences of a run, read again."""
        examples = self._read(self._paths["file"], self._learnt.reading, True)
        self._learnt.check_alike(examples)
        items, more = self._split.selected(examples)
        if more:
            log.warning(
                "%s has %d sequence(s) more than when the run was made; they are left out", examples.source, more
            )
        tests = [] if self._paths["test"] is None else self._test_examples(self._learnt)
        if len(tests) != self._tests:
            raise DataError(
                f"{self._paths['test']} has {len(tests)} sequence(s), {self._tests} when the run was made; give it back"
            )
        for example in items:
            self._learnt.check_labelled(example)
        return self._divided(items, tests)

    @cached_property
    def _encoded(self) -> dict[str, list[Tensor]]:
        """The steps of each sequence as a model reads them, uncut, by part."""
        return {mark: [self._learnt.encoded(example) for example in part] for mark, part in self._examples.items()}

    @property
    def _lengths(self) -> list[int]:
        return [len(steps) for part in self._encoded.values() for steps in part]

    @cached_property
    def _pieces(self) -> dict[str, list[Piece]]:
        """The rows of batches, by part."""
        found: dict[str, list[Piece]] = {}
        for mark, part in self._examples.items():
            found[mark] = []
            for example, steps in zip(part, self._encoded[mark], strict=True):
                found[mark] += self._cut(steps, self._learnt.places(example))
        return found

    def _kept(self) -> Examples:
        """Return the sequences kept for a test; their files are named without the folders that they are in.

        Raises:
            UsageError: there are none.
        """
        items = self._examples[TEST]
        if not items:
            raise UsageError("the run keeps no sequences for a test; give --data FILE, or data= in Python")
        path = self._paths["test"] or self._paths["file"]
        if path is None:
            return Examples("", items, self._learnt.names)
        base = str(path if path.is_dir() else path.parent)
        return Examples(
            str(path), [item._replace(file=relative(item.file, base)) for item in items], self._learnt.names
        )

    def data_state(self) -> dict[str, Any]:
        """Return labels, vocabulary or scale, how files are read, the part of each sequence, and the summary."""
        return {
            "learnt": self._learnt.to_json(),
            "split": self._split.to_json(),
            "tests": self._tests,
            "summary": self._summary,
        }

    @classmethod
    def from_data_state(cls, state: Mapping[str, Any], **options: Any) -> Self:
        """Build the task with the labels, vocabulary or scale and parts of a run; files are read when batches are
        asked for.

        Raises:
            LookupError, TypeError, ValueError: `state` is not what `data_state` returns.
        """
        task = cls.__new__(cls)
        task._set_options(**options)
        if type(state["tests"]) is not int or not isinstance(state["summary"], str):
            raise ValueError("it has no count of tests, or no summary")
        task._take(Learnt.from_json(state["learnt"]), Split.from_json(state["split"]), state["tests"], state["summary"])
        return task

    @abstractmethod
    def _set_options(self, **options: Any) -> None:
        """Check and take the options that a finished run needs."""

    def _set_files(self, file: object, test: object, max_len: int) -> None:
        check_whole(f"task {self.name!r}: max_len", max_len)
        self.max_len = max_len
        self._paths = {
            option: None if given is None else Path(str(given)) for option, given in (("file", file), ("test", test))
        }

    def data_summary(self) -> str:
        """Return what of the data is used, as what, and what is left out."""
        return self._summary

    def symbol_names(self) -> list[str] | None:
        """Return the text of each symbol, the unknown one first; None of numbers and bytes."""
        vocabulary = self._learnt.vocabulary
        return None if vocabulary is None or not vocabulary.symbols else ["", *vocabulary.symbols]

    def output_names(self) -> list[str]:
        """Return the labels."""
        return list(self.labels)

    def units(self) -> rnnkit.Units | None:
        """Return what scales features and makes shares of labels; None of texts and tokens."""
        learnt = self._learnt
        return None if learnt.scale is None else units_of(learnt.names, learnt.scale, learnt.labels)

    def fingerprint(self) -> str:
        """Return the sha256 of all steps and labels."""
        digest = hashlib.sha256()
        for mark, pieces in sorted(self._pieces.items()):
            for piece in pieces:
                digest.update(f"{mark}{len(piece.steps)}{piece.target.tolist()}".encode())
                digest.update(piece.steps.numpy().tobytes())
        return digest.hexdigest()

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        """Draw `size` sequences that train: xs (T, B) symbols or (T, B, D) numbers, with lengths (B,)."""
        pieces = self._pieces[TRAIN]
        return self._batch([pieces[at] for at in torch.randint(len(pieces), (size,), generator=generator).tolist()])

    def validation(self) -> Iterator[Batch]:
        """Yield the sequences that validate once each, in batches of alike lengths."""
        return self._batches(HELD_OUT)

    def test(self) -> Iterator[Batch] | None:
        """Yield those kept for a test, likewise; None if there are none."""
        return self._batches(TEST) if TEST in self._split.marks or self._tests else None

    def _batches(self, mark: str) -> Iterator[Batch]:
        pieces = self._pieces[mark]
        for places in by_length([piece.steps for piece in pieces]):
            yield self._batch([pieces[place] for place in places])

    def _batch(self, pieces: Sequence[Piece]) -> Batch:
        targets = [piece.target for piece in pieces]
        if not self.every_step:
            return padded([piece.steps for piece in pieces], torch.stack(targets))
        return padded([piece.steps for piece in pieces], pad_sequence(targets, padding_value=LEFT_OUT))
