"""Language model on real text: predict each next character, byte or word.

Default text: the documentation of the Python language that every CPython carries (`pydoc_data.topics`; 464,970
characters, 103 symbols on Python 3.11). The first 90 % train, the next 5 % validate, the last 5 % are kept for a test.

`tokens` says what the text is cut into:

- `char`, the default: the characters that a UTF-8 text has. A byte-order mark and the kind of line ends do not matter.
- `byte`: the bytes of any file, 256 symbols; nothing is decoded.
- `word`: the `vocabulary` most frequent words of the part that trains, marks and blanks among them; all others are one
  symbol, `<unk>`. A word has the blank before it, so that words, joined, are the text. Line ends are a symbol of their
  own. A line says how many words are known, and how much of the text is not.

A file above 16 MiB is not held in memory: its symbols go to a temporary file as small numbers, mapped into memory, and
every batch is cut from there. TMPDIR says where that file is; it is gone when the process ends, however it ends. Of
words each different one is held while the file is read, and a symbol takes 4 bytes.

Metric: bits per character, byte or word. Compared with n-gram models (Witten-Bell) of contexts of 3 and 4 characters or
bytes, or of 1 and 2 words; of a large file they know the last 5,000,000 symbols that train. Of words the perplexity
stands beside it, and how much of the text that validates is unknown: saying `<unk>` is easy, so compare runs of one
vocabulary.

A run keeps the alphabet or vocabulary and the length of the text, so that its model is sampled, exported and judged as
it was trained, whatever the file is now.
"""

import hashlib
import logging
import math
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import Batch
from rnnkit.errors import DataError, UsageError, check_whole, nearest
from rnnkit_tasks.text.characters import Characters
from rnnkit_tasks.text.ngram import NGrams
from rnnkit_tasks.text.octets import Octets
from rnnkit_tasks.text.parts import parts_of
from rnnkit_tasks.text.tokens import Tokens, counted
from rnnkit_tasks.text.words import UNKNOWN, Words

KINDS: dict[str, type[Tokens]] = {kind.name: kind for kind in (Characters, Octets, Words)}
VOCABULARY = 10_000
NGRAM_SYMBOLS = 5_000_000
HELD_OUT_ROWS = 32

log = logging.getLogger("rnnkit.tasks")


class Chars(rnnkit.Task):
    """Language model on `text`, in sequences of `seq_len` (default: the Python language's documentation).

    Args:
        text: file to learn, in UTF-8, or with tokens=byte any file; None: the Python language's documentation.
        seq_len: characters, bytes or words that a batch has in each row.
        tokens: what the text is cut into: char, byte or word.
        vocabulary: how many words are told apart, with tokens=word.
    """

    name = "chars"
    fresh_at_breaks = True
    metric_name = "bits per character"
    files = ("text",)
    unpacks = True
    symbols = True
    defaults = MappingProxyType({"steps": 1500, "batch": 32, "lr": 5e-3, "hidden": 128})

    def __init__(
        self, *, text: str | None = None, seq_len: int = 64, tokens: str = "char", vocabulary: int = VOCABULARY
    ) -> None:
        kind = self._set_options(text, seq_len, tokens, vocabulary)
        cut, symbols = kind.read(self._path, vocabulary)
        self._take(cut, len(symbols), int(symbols[parts_of(len(symbols))[0]]) if len(symbols) else 0)
        self._symbols = symbols
        if len(self.held_out) < 2 or len(self.train) <= self.seq_len:
            raise DataError(
                f"{self.source} has {counted(self.length, cut.unit)}, too few: 90 % of them must be more than "
                f"seq_len = {self.seq_len}, and 5 % at least 2"
            )
        if summary := self.data_summary():
            log.info("%s: %s", self.source, summary)

    def _set_options(self, text: str | None, seq_len: int, tokens: str, vocabulary: int) -> type[Tokens]:
        """Check and set what the user says, and return what the text is to be cut into."""
        check_whole("task 'chars': seq_len", seq_len)
        check_whole("task 'chars': vocabulary", vocabulary)
        if not isinstance(tokens, str) or tokens not in KINDS:
            raise UsageError(
                f"task 'chars': tokens is {tokens!r}; it must be one of {', '.join(KINDS)}{nearest(str(tokens), KINDS)}"
            )
        if vocabulary != VOCABULARY and KINDS[tokens] is not Words:
            raise UsageError(f"task 'chars': vocabulary is for words; leave it out, or give tokens={Words.name}")
        self.seq_len = seq_len
        self._path = None if text is None else Path(str(text))
        self.source = "Python's documentation" if text is None else str(text)
        return KINDS[tokens]

    def _take(self, tokens: Tokens, length: int, beginning: int) -> None:
        """Set what is known of a text without reading it: its symbols, length, and how the held-out part begins."""
        self.tokens, self.length, self._beginning = tokens, length, beginning
        self.alphabet = tokens.alphabet if isinstance(tokens, Characters) else ""
        self.input_size = self.output_size = tokens.size
        self.metric_name = f"bits per {tokens.unit}"

    @classmethod
    def metric_named(cls, **options: Any) -> str:
        """Return bits per character, byte or word."""
        kind = KINDS.get(str(options.get("tokens", Characters.name)), Characters)
        return f"bits per {kind.unit}"

    def data_state(self) -> dict[str, Any]:
        """Return the alphabet or vocabulary, the length and the symbol that the held-out text begins with."""
        return {**self.tokens.state(), "length": self.length, "beginning": self._beginning}

    @classmethod
    def from_data_state(cls, state: Mapping[str, Any], **options: Any) -> Self:
        """Build the task with the alphabet or vocabulary of a run; the text is read when batches are asked for.

        Raises:
            LookupError, TypeError, ValueError: `state` is not what `data_state` returns.
        """
        task = cls.__new__(cls)
        given = {"text": None, "seq_len": 64, "tokens": Characters.name, "vocabulary": VOCABULARY, **options}
        kind = task._set_options(**given)
        if state.get("tokens", Characters.name) != kind.name:
            raise ValueError(f"its symbols are no {kind.unit}s")
        tokens, length, beginning = kind.from_state(state), state["length"], state["beginning"]
        if type(length) is not int or type(beginning) is not int or not 0 <= beginning < tokens.size:
            raise ValueError("length and beginning are not whole numbers within bounds")
        task._take(tokens, length, beginning)
        return task

    def data_summary(self) -> str:
        """Return what of the text is left out or replaced: of words, those that are not known."""
        return self.tokens.summary()

    @cached_property
    def _symbols(self) -> Tensor:
        """The text of a run (N,), in the run's symbols, as long as it was then."""
        symbols, unit = self.tokens.read_again(self._path), self.tokens.unit
        if len(symbols) < self.length:
            raise DataError(
                f"{self.source} has {counted(len(symbols), unit)}, {self.length} when the run was made; give back that "
                "text"
            )
        if len(symbols) > self.length:
            more = len(symbols) - self.length
            log.warning("%s has %d %ss more than when the run was made; they are left out", self.source, more, unit)
        return symbols[: self.length]

    @cached_property
    def text(self) -> str | None:
        """The whole text; None where it is so large that it is not held."""
        return self.sample(self._symbols) if self._symbols.dtype == torch.int64 else None

    @cached_property
    def train(self) -> Tensor:
        """The symbols that train."""
        return self._symbols[: parts_of(self.length)[0]]

    @cached_property
    def held_out(self) -> Tensor:
        """Those that validate."""
        return self._symbols[slice(*parts_of(self.length))]

    @cached_property
    def test_part(self) -> Tensor:
        """Those kept for a test."""
        return self._symbols[parts_of(self.length)[1] :]

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
                f"{self.source} has {counted(self.length, self.tokens.unit)}, too few for {size} streams of "
                f"{self.seq_len} steps; "
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
        """Cut into `rows` streams side by side and read them in steps of `seq_len`, each symbol once."""
        length = (len(symbols) - 1) // rows
        xs = symbols[: rows * length].view(rows, length).t()
        targets = symbols[1 : rows * length + 1].view(rows, length).t()
        for at in range(0, length, self.seq_len):
            now = slice(at, at + self.seq_len)
            yield Batch(xs[now].long(), targets[now].long(), continues=at > 0)

    def fingerprint(self) -> str:
        """Return the sha256 of all symbols."""
        return self._sha256

    @cached_property
    def _sha256(self) -> str:
        digest = hashlib.sha256(self.tokens.digested())
        for part in (self.train, self.held_out, self.test_part):
            digest.update(part.numpy().data)
        return digest.hexdigest()

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy in nats, from outputs (T, B, symbols) and targets (T, B)."""
        return F.cross_entropy(outputs.flatten(0, 1), targets.flatten())

    def metric(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy in bits per character, byte or word."""
        return self.metric_by_loss(self.loss(outputs, targets))

    def metric_by_loss(self, loss: Tensor) -> Tensor:
        """Turn nats into bits."""
        return loss / math.log(2)

    def baselines(self) -> dict[str, float]:
        """Bits per character, byte or word of n-gram models on the held-out text."""
        return dict(self._ngrams)

    @cached_property
    def _ngrams(self) -> dict[str, float]:
        train, known = self.train, ""
        if train.dtype != torch.int64 and len(train) > NGRAM_SYMBOLS:  # a text that is mapped, not held
            train, known = train[-NGRAM_SYMBOLS:], f" of the last {NGRAM_SYMBOLS:,} {self.tokens.unit}s"
        orders = self.tokens.orders
        bits = NGrams(train.numpy(), self.input_size, max(orders)).bits(self.held_out.numpy())
        return {f"order-{order} n-gram{known}": bits[order] for order in orders}

    def further_figures(self, model: nn.Module) -> dict[str, float]:
        """Of words: the perplexity on the held-out text, and the share of it that is unknown."""
        if not isinstance(self.tokens, Words):
            return {}
        bits = rnnkit.evaluate(model, self).metric
        unknown = float((self.held_out == 0).double().mean())
        return {"perplexity per word, validation": 2**bits, f"share of {UNKNOWN}, validation": unknown}

    def prompt(self, text: str = "") -> Tensor:
        """Return the symbols of `text`, its line ends made one character, but for bytes.

        Without a text: the end of a paragraph, or else how the held-out text begins. Of words, those that the run does
        not know are `<unk>`, of which a line tells, and a blank at the end is that of the word to come.

        Raises:
            UsageError: a character that the run does not know.
        """
        symbols = self.tokens.symbols_of(text, self.source) if text else None
        if symbols is not None and len(symbols):
            return symbols
        paragraph = self.tokens.paragraph()
        return torch.tensor([self._beginning]) if paragraph is None else paragraph

    def sample(self, symbols: Tensor) -> str:
        """Return the text of `symbols` (N,)."""
        return self.tokens.text_of(symbols)

    def sample_stream(self, symbols: Iterable[Tensor]) -> Iterator[str]:
        """Return the text of symbols () as they come; a character of several bytes once it is whole."""
        return self.tokens.stream(symbols)


@rnnkit.hookimpl
def rnnkit_tasks() -> list[type[rnnkit.Task]]:
    """Offer the character language model."""
    return [Chars]
