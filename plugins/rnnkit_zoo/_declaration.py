"""A parameter as its class declares it: its shape in words, how it starts, and whether it is there."""

import inspect
import re
from typing import NamedTuple

import rnnkit
from rnnkit_zoo._starts import Start, start_as


class Declaration(NamedTuple):
    """What a class says of a parameter, as `Annotated[nn.Parameter, "H, D", normal(0.1)]` behind the type."""

    shape: str
    """In words, which `sizes` reads."""
    start: Start | None
    """How it starts; None: as the cell's `starts` say."""
    option: str | None
    """The attribute of a cell that tells whether it has the parameter; None: it has."""


def declarations(kind: type) -> dict[str, Declaration]:
    """Return the parameters that a class declares, by name: its own, then those of its bases."""
    found: dict[str, Declaration] = {}
    for base in kind.__mro__:
        for name, hint in inspect.get_annotations(base).items():
            if told := getattr(hint, "__metadata__", ()):
                found.setdefault(name, _declaration(*told))
    return found


def _declaration(shape: str, *further: Start | float | str) -> Declaration:
    start = next((start_as(given) for given in further if not isinstance(given, str)), None)
    return Declaration(shape, start, next((given for given in further if isinstance(given, str)), None))


def sizes(words: str, cell: rnnkit.Cell) -> tuple[int, ...]:
    """Return the sizes that "3H, D - 1" or "H + order" tells: sums of numbers, D, H and whole numbers of the cell's."""
    return tuple(_sum(size.replace(" - ", " + -").split(" + "), cell) for size in words.split(", "))


def _sum(terms: list[str], cell: rnnkit.Cell) -> int:
    known, total = {"": 1, "D": cell.input_size, "H": cell.hidden_size}, 0
    for term in terms:
        ((factor, name),) = re.findall(r"^(-?\d*)(\w*)$", term)
        total += int(factor or 1) * (known[name] if name in known else int(getattr(cell, name)))
    return total
