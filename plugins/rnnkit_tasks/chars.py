"""Character language model on real text: predict each next character.

Default text: the documentation of the Python language that every CPython carries (`pydoc_data.topics`; 464,970
characters, 103 symbols on Python 3.11). The first 90 % train, the next 5 % validate, the last 5 % are kept for a test.

A file above 16 MiB is not held in memory: its characters go to a temporary file as small numbers, mapped into memory,
and every batch is cut from there. TMPDIR says where that file is; it is gone when the process ends, however it ends.

Metric: bits per character. Compared with n-gram models (Witten-Bell) of contexts of 3 and 4 characters; of a large
file they know the last 5,000,000 characters that train.

A run keeps the alphabet and the number of characters, so that its model is sampled, exported and judged as it was
trained, whatever the file is now.
"""

import hashlib
import logging
import math
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional as F

import rnnkit
from rnnkit import Batch
from rnnkit.errors import DataError, UsageError, check_whole
from rnnkit_tasks.text.ngram import NGrams
from rnnkit_tasks.text.symbols import encode, read_symbols

ORDERS = (3, 4)
NGRAM_CHARACTERS = 5_000_000
HELD_OUT_ROWS = 32
PARAGRAPH = "\n\n"

log = logging.getLogger("rnnkit.tasks")


class Chars(rnnkit.Task):
    """Character language model on `text`, in sequences of `seq_len` (default: the Python language's documentation).

    Args:
        text: file to learn, in UTF-8; None: the Python language's documentation.
        seq_len: characters that a batch has in each row.
    """

    name = "chars"
    fresh_at_breaks = True
    metric_name = "bits per character"
    files = ("text",)
    symbols = True
    defaults = MappingProxyType({"steps": 1500, "batch": 32, "lr": 5e-3, "hidden": 128})

    def __init__(self, *, text: str | None = None, seq_len: int = 64) -> None:
        check_whole("task 'chars': seq_len", seq_len)
        self.seq_len = seq_len
        self._path = None if text is None else Path(str(text))
        self.source = "Python's documentation" if text is None else str(text)
        alphabet, symbols = read_symbols(self._path)
        self._take(alphabet, len(symbols), int(symbols[self._cuts(len(symbols))[0]]) if len(symbols) else 0)
        self._symbols = symbols
        if len(self.held_out) < 2 or len(self.train) <= self.seq_len:
            raise DataError(
                f"{self.source} has {self.length} characters, too few: 90 % of them must be more than "
                f"seq_len = {self.seq_len}, and 5 % at least 2"
            )

    def _take(self, alphabet: str, length: int, beginning: int) -> None:
        """Set what is known of a text without reading it: its alphabet, length, and how the held-out part begins."""
        self.alphabet, self.length, self._beginning = alphabet, length, beginning
        self.input_size = self.output_size = len(alphabet)

    @staticmethod
    def _cuts(length: int) -> tuple[int, int]:
        """Return where the part that validates begins, and the one for a test."""
        return length * 90 // 100, length * 95 // 100

    def data_state(self) -> dict[str, Any]:
        """Return the alphabet, the number of characters and the symbol that the held-out text begins with."""
        return {"alphabet": self.alphabet, "length": self.length, "beginning": self._beginning}

    @classmethod
    def from_data_state(cls, state: Mapping[str, Any], **options: Any) -> Self:
        """Build the task with the alphabet of a run; the text is read when batches are asked for.

        Raises:
            LookupError, ValueError: `state` is not what `data_state` returns.
        """
        alphabet, length, beginning = state["alphabet"], state["length"], state["beginning"]
        if not isinstance(alphabet, str) or list(alphabet) != sorted(set(alphabet)):
            raise ValueError("alphabet is not one of different characters in order")
        if type(length) is not int or type(beginning) is not int or not 0 <= beginning < len(alphabet):
            raise ValueError("length and beginning are not whole numbers within bounds")
        text, seq_len = options.get("text"), options.get("seq_len", 64)
        check_whole("task 'chars': seq_len", seq_len)
        task = cls.__new__(cls)
        task.seq_len = seq_len
        task._path = None if text is None else Path(str(text))
        task.source = "Python's documentation" if text is None else str(text)
        task._take(alphabet, length, beginning)
        return task

    @cached_property
    def _symbols(self) -> Tensor:
        """The text of a run (N,), in the run's alphabet, as long as it was then."""
        _, symbols = read_symbols(self._path, self.alphabet)
        if len(symbols) < self.length:
            raise DataError(
                f"{self.source} has {len(symbols)} characters, {self.length} when the run was made; give back that text"
            )
        if len(symbols) > self.length:
            more = len(symbols) - self.length
            log.warning("%s has %d characters more than when the run was made; they are left out", self.source, more)
        return symbols[: self.length]

    @cached_property
    def text(self) -> str | None:
        """The whole text; None where it is so large that it is not held."""
        return self.sample(self._symbols) if self._symbols.dtype == torch.int64 else None

    @cached_property
    def train(self) -> Tensor:
        """The symbols that train."""
        return self._symbols[: self._cuts(self.length)[0]]

    @cached_property
    def held_out(self) -> Tensor:
        """Those that validate."""
        return self._symbols[slice(*self._cuts(self.length))]

    @cached_property
    def test_part(self) -> Tensor:
        """Those kept for a test."""
        return self._symbols[self._cuts(self.length)[1] :]

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        """Draw `size` windows of the training text, anywhere: xs and targets (T, B)."""
        starts = torch.randint(len(self.train) - self.seq_len, (size,), generator=generator)
        window = self.train[starts.unsqueeze(0) + torch.arange(self.seq_len + 1).unsqueeze(1)].long()
        return Batch(window[:-1], window[1:])

    def batches(self, size: int, generator: torch.Generator) -> Iterator[Batch]:
        """Read the training text in `size` parallel streams, batch after batch, from a random place onwards."""
        spare = len(self.train) - 1 - size * self.seq_len
        if spare < 0:
            raise DataError(
                f"{self.source} has {self.length} characters, too few for {size} streams of {self.seq_len} steps; "
                "give a longer text, a smaller batch or a smaller seq_len"
            )
        while True:
            start = int(torch.randint(min(spare, self.seq_len) + 1, (), generator=generator))
            yield from self._read(self.train[start:], size)

    def validation(self) -> Iterator[Batch]:
        """Read the held-out text once, in parallel streams."""
        return self._read_once(self.held_out)

    def test(self) -> Iterator[Batch]:
        """Read the text kept for a test once, in parallel streams."""
        return self._read_once(self.test_part)

    def _read_once(self, symbols: Tensor) -> Iterator[Batch]:
        return self._read(symbols, max(1, min(HELD_OUT_ROWS, (len(symbols) - 1) // self.seq_len)))

    def _read(self, symbols: Tensor, rows: int) -> Iterator[Batch]:
        """Cut into `rows` streams side by side and read them in steps of `seq_len`, each character once."""
        length = (len(symbols) - 1) // rows
        xs = symbols[: rows * length].view(rows, length).t()
        targets = symbols[1 : rows * length + 1].view(rows, length).t()
        for at in range(0, length, self.seq_len):
            now = slice(at, at + self.seq_len)
            yield Batch(xs[now].long(), targets[now].long(), continues=at > 0)

    def fingerprint(self) -> str:
        """Return the sha256 of all characters."""
        return self._sha256

    @cached_property
    def _sha256(self) -> str:
        digest = hashlib.sha256(self.alphabet.encode())
        for part in (self.train, self.held_out, self.test_part):
            digest.update(part.numpy().data)
        return digest.hexdigest()

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy in nats, from outputs (T, B, symbols) and targets (T, B)."""
        return F.cross_entropy(outputs.flatten(0, 1), targets.flatten())

    def metric(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy in bits per character."""
        return self.loss(outputs, targets) / math.log(2)

    def baselines(self) -> dict[str, float]:
        """Bits per character of n-gram models on the held-out text."""
        return dict(self._ngrams)

    @cached_property
    def _ngrams(self) -> dict[str, float]:
        train, known = self.train, ""
        if train.dtype != torch.int64 and len(train) > NGRAM_CHARACTERS:  # a text that is mapped, not held
            train, known = train[-NGRAM_CHARACTERS:], f" of the last {NGRAM_CHARACTERS:,} characters"
        bits = NGrams(train.numpy(), self.input_size, max(ORDERS)).bits(self.held_out.numpy())
        return {f"order-{order} n-gram{known}": bits[order] for order in ORDERS}

    def prompt(self, text: str = "") -> Tensor:
        """Return the symbols of `text`, its line ends made one character.

        Without a text: the end of a paragraph, or else how the held-out text begins.

        Raises:
            UsageError: a character that the text of the task lacks.
        """
        if not text:
            known = set(PARAGRAPH) <= set(self.alphabet)
            return encode(PARAGRAPH, self.alphabet) if known else torch.tensor([self._beginning])
        text = text.replace("\r\n", "\n").replace("\r", "\n")  # as in the text that was learnt from
        unknown = sorted(set(text) - set(self.alphabet))
        if unknown:
            raise UsageError(f"the text has {unknown[0]!r}, which {self.source} lacks; leave it out")
        return encode(text, self.alphabet)

    def sample(self, symbols: Tensor) -> str:
        """Return the text of `symbols` (N,)."""
        return "".join(self.alphabet[symbol] for symbol in symbols.tolist())


@rnnkit.hookimpl
def rnnkit_tasks() -> list[type[rnnkit.Task]]:
    """Offer the character language model."""
    return [Chars]
