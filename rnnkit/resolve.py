"""From names and options to objects: the one place where the two halves of the house, plugins and mathematics, meet."""

import inspect
from collections.abc import Sequence
from typing import Any, TypeVar

from rnnkit.cell import Cell
from rnnkit.errors import KindError, UsageError, nearest
from rnnkit.registry import Registry, unrollers
from rnnkit.unroll import Unroller

Kind = TypeVar("Kind")


def resolve_unroller(unroller: str | type[Unroller] | Unroller, *cells: Cell) -> Unroller:
    """Give the unroller that a name, class or instance stands for; "auto" picks the fastest that takes all `cells`."""
    if isinstance(unroller, Unroller):
        return unroller
    if unroller == "auto":
        for candidate in _ranked(cells):
            if all(map(candidate.applies, cells)):
                return candidate
        names = ", ".join(dict.fromkeys(repr(cell.name) for cell in cells))
        raise UsageError(f"no unroller applies to cell {names}; name one with unroller=")
    return resolve(unroller, Unroller, unrollers, "unroller")()


def _ranked(cells: Sequence[Cell]) -> list[Unroller]:
    """Give the unrollers that `auto` may take for all of `cells`, the highest rank first."""
    ranked: list[tuple[int, Unroller]] = []
    for kind in unrollers.values():
        if kind.auto_rank is None and kind.rank is Unroller.rank:
            continue  # only by name: it may not even be built without options
        candidate = kind()
        ranks = [candidate.rank(cell) for cell in cells] or [kind.auto_rank]
        known = [rank for rank in ranks if rank is not None]
        if len(known) == len(ranks):
            ranked.append((min(known), candidate))
    return [candidate for _, candidate in sorted(ranked, key=lambda pair: -pair[0])]


def resolve(given: str | type[Kind], base: type, registry: Registry[Kind], noun: str) -> type[Kind]:
    """Give the class that a name or class stands for, or raise saying what else was given."""
    if isinstance(given, str):
        return registry[given]
    if inspect.isclass(given) and issubclass(given, base):
        return given
    raise UsageError(f"the {noun} is {given!r}; it must be a registered name or a class derived from {base.__name__}")


def option_names(kind: type) -> tuple[list[str], bool]:
    """Give the keyword options of a constructor, and whether it takes any others too; a cell's two sizes are none."""
    parameters = list(inspect.signature(kind).parameters.values())
    own = parameters[2:] if issubclass(kind, Cell) else parameters
    names = [p.name for p in own if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    return names, any(p.kind is p.VAR_KEYWORD for p in parameters)


def check_options(noun: str, kind: Any, options: dict[str, Any]) -> None:
    """Raise UsageError for an option that the class lacks, naming those that it has."""
    names, takes_any = option_names(kind)
    for name in options:
        if name not in names and not takes_any:
            known = ", ".join(names) or "none"
            raise KindError(f"{noun} {kind.name!r} has no option {name!r}{nearest(name, names)}; its options: {known}")
