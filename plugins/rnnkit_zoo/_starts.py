"""How parameters start: what is drawn, and the same in words, so that a cell says both at once.

    starts = starting(uniform(1 / root(D)), weight_hh=normal(0.1 / H), bias_ih=in_turn(f=1, n=0), bias_hh=0)

Bounds and deviations are numbers, or are told by the sizes `D` and `H` of the cell, as in `1 / root(D + 2 * H)`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn

from rnnkit import Cell


@dataclass(frozen=True)
class Size:
    """A number that the sizes D and H of a cell tell."""

    words: str
    at: Callable[[Cell], float]

    def __add__(self, other: "Size") -> "Size":
        return Size(f"{self.words} + {other.words}", lambda cell: self.at(cell) + other.at(cell))

    def __rmul__(self, factor: float) -> "Size":
        return Size(f"{factor:g}{self.words}", lambda cell: factor * self.at(cell))

    def __rtruediv__(self, factor: float) -> "Size":
        return Size(f"{factor:g}/{self.words}", lambda cell: factor / self.at(cell))


D = Size("D", lambda cell: cell.input_size)
H = Size("H", lambda cell: cell.hidden_size)


def root(size: Size) -> Size:
    """Return √ of a size."""
    words = size.words if len(size.words) == 1 else f"({size.words})"
    return Size(f"√{words}", lambda cell: size.at(cell) ** 0.5)


@dataclass(frozen=True)
class Start:
    """How a parameter starts."""

    words: str
    draw: Callable[[Tensor, Cell], object]
    """Fill a tensor of a cell, in place."""
    names: tuple[str, ...] = ()
    """The blocks of rows that it names, if it does."""


@dataclass(frozen=True)
class Starts:
    """How the parameters of a cell start: those that are named, and the others."""

    others: Start
    named: Mapping[str, Start]

    def of(self, name: str) -> Start | None:
        """Return how a parameter starts, of a submodule by the module's name; None: as torch draws that."""
        first, dot, _ = name.partition(".")
        return self.named.get(first, None if dot else self.others)


def starting(others: Start | None = None, /, **named: Start | float) -> Starts:
    """Return how parameters start, by name; a number is what all elements are. Others: as in torch's own layers."""
    starts = {name: start_as(start) for name, start in named.items()}
    return Starts(uniform(1 / root(H)) if others is None else others, MappingProxyType(starts))


def start_as(start: Start | float) -> Start:
    if isinstance(start, Start):
        return start
    return Start(f"{start:g}", lambda tensor, cell: nn.init.constant_(tensor, start))


def _size(size: Size | float) -> Size:
    return size if isinstance(size, Size) else Size(f"{size:g}", lambda cell: size)


def uniform(bound: Size | float, low: float | None = None) -> Start:
    """Draw from U(-bound, bound), or from U(low, bound)."""
    high = _size(bound)
    words = f"uniform within ±{high.words}" if low is None else f"uniform from {low:g} to {high.words}"
    return Start(words, lambda t, cell: nn.init.uniform_(t, -high.at(cell) if low is None else low, high.at(cell)))


def normal(deviation: Size | float) -> Start:
    """Draw from the normal distribution around zero."""
    size = _size(deviation)
    return Start(f"normal, of deviation {size.words}", lambda tensor, cell: nn.init.normal_(tensor, std=size.at(cell)))


def log_uniform(low: float, high: float) -> Start:
    """Draw what has a logarithm from U(low, high)."""
    return Start(f"exp of uniform from {low:g} to {high:g}", lambda t, cell: nn.init.uniform_(t, low, high).exp_())


def kaiming_uniform(slope: float) -> Start:
    """Draw as He et al. (2015) do for a rectifier that has a slope below zero too."""
    words = f"Kaiming's uniform, for a slope of {slope:g} below zero"
    return Start(words, lambda tensor, cell: nn.init.kaiming_uniform_(tensor, a=slope))


def _each(words: str, fill: Callable[[Tensor], object]) -> Start:
    return Start(words, lambda tensor, cell: [fill(block) for block in torch.split(tensor, cell.hidden_size)])


GLOROT = _each("Glorot's uniform, each block", nn.init.xavier_uniform_)
ORTHOGONAL = _each("orthogonal, each block", nn.init.orthogonal_)


def listed(names: Sequence[str]) -> str:
    """Return names as a sentence has them: "i, f and o"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)


def in_turn(**starts: Start | float) -> Start:
    """Draw one block of H rows after the other, each in its own way; all are named, in their order."""
    blocks = {name: start_as(start) for name, start in starts.items()}
    alike = {start.words: [name for name in blocks if blocks[name].words == start.words] for start in blocks.values()}
    words = ", ".join(f"{said} in {listed(names)}" for said, names in alike.items())

    def draw(tensor: Tensor, cell: Cell) -> None:
        for start, rows in zip(blocks.values(), torch.split(tensor, cell.hidden_size), strict=True):
            start.draw(rows, cell)

    return Start(words, draw, tuple(blocks))
