"""What a text is cut into, each kind of which has a number, its symbol."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from torch import Tensor


class Tokens(ABC):
    """One way to cut a text; what a run must know to cut another one as its own is in `state`."""

    name: ClassVar[str]
    """What the option `tokens` calls it."""

    unit: ClassVar[str]
    """What one is called: bits are per it."""

    orders: ClassVar[tuple[int, ...]] = (3, 4)
    """How many tokens the contexts of the n-gram models have that stand beside a run."""

    size: int
    """Symbols: numbers are below it."""

    @classmethod
    @abstractmethod
    def read(cls, path: Path | None, vocabulary: int) -> tuple[Self, Tensor]:
        """Read a text: how it is cut, and its symbols (N,), int64 in memory or narrower in a mapped file.

        Args:
            path: of the file; None: the documentation of the Python language.
            vocabulary: how many words are told apart, where they are words.

        Raises:
            DataError: the file is unfit.
            ResourceError: a large one has no room for its symbols.
        """

    @abstractmethod
    def read_again(self, path: Path | None) -> Tensor:
        """Read a text as the run's own was; raises as `read`, or DataError for a character that a run cannot know."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return as JSON what a run keeps."""

    @classmethod
    @abstractmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Build what `state` returned; raises LookupError, TypeError or ValueError if it is something else."""

    @abstractmethod
    def symbols_of(self, text: str, source: str) -> Tensor:
        """Cut a prompt (N,), maybe to nothing; UsageError names what a run over `source` cannot know."""

    @abstractmethod
    def paragraph(self) -> Tensor | None:
        """Return the symbols of the end of a paragraph, after which a text begins; None: the text has no line ends."""

    @abstractmethod
    def text_of(self, symbols: Tensor) -> str:
        """Return the text of symbols (N,)."""

    def stream(self, symbols: Iterable[Tensor]) -> Iterator[str]:
        """Return the text of symbols () as they come."""
        return (self.text_of(symbol.view(1)) for symbol in symbols)

    def summary(self) -> str:
        """Return in one line what of the text is left out or replaced; "": nothing."""
        return ""

    @abstractmethod
    def digested(self) -> bytes:
        """Return what of it a fingerprint of the data begins with."""


PARAGRAPH = "\n\n"


def counted(number: int, unit: str) -> str:
    """Return a number of tokens in words: "1 word", "5 words"."""
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def with_line_feeds(text: str) -> str:
    """Make the line ends of a prompt one character, as they are in a text that was decoded."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
