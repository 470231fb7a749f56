"""How the parameters of a cell of the catalogue start, in words, from what its class declares."""

import inspect

from rnnkit_zoo._declared import Declared
from rnnkit_zoo._starts import Starts, listed

TORCH = "as torch draws its modules"


def initialisation(cell: Declared) -> str:
    """Return how the parameters start: as declared, or as the cell's own `reset_parameters` says."""
    own = type(cell).reset_parameters
    if own is not Declared.reset_parameters:
        return " ".join((inspect.getdoc(own) or "").split())
    said: dict[str, list[str]] = {}
    for name, _ in cell.named_parameters():
        words = _words(cell.starts, name)
        names = said.setdefault(words, [])
        if (shown := name.partition(".")[0]) not in names:
            names.append(shown)
    return "; ".join(f"{listed(names)}: {words}" for words, names in said.items())


def _words(starts: Starts, name: str) -> str:
    start = starts.of(name)
    return TORCH if start is None else start.words
