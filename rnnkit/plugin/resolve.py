"""From names and options to objects: the one place where the two halves of the house, plugins and mathematics, meet."""

import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from rnnkit.core.cell import Cell
from rnnkit.core.unroller import Unroller
from rnnkit.errors import KindError, PluginError, RnnkitError, UnknownNameError, UsageError, nearest, one_line, said
from rnnkit.plugin.class_import import imported, is_path
from rnnkit.plugin.class_path import classes, described, remedy
from rnnkit.plugin.given_options import listed, note
from rnnkit.plugin.registry import Registry, unrollers

Kind = TypeVar("Kind")


def resolve_unroller(unroller: str | type[Unroller] | Unroller, *cells: Cell) -> Unroller:
    """Return the unroller that a name, class or instance stands for; "auto": the fastest that takes all `cells`."""
    if isinstance(unroller, Unroller):
        return unroller
    if unroller == "auto":
        for _, candidate in ranked(cells):
            if all(map(candidate.applies, cells)):
                return candidate
        names = ", ".join(dict.fromkeys(repr(cell.name) for cell in cells))
        raise UsageError(f"no unroller applies to cell {names}; name one with unroller=")
    return construct("unroller", resolve(unroller, Unroller, unrollers, "unroller"))


def willing(unroller: Unroller, *cells: Cell) -> Unroller:
    """Return the unroller; raises UsageError if it refuses one of the cells."""
    if not unroller.takes_all_cells:
        for reason in filter(None, map(unroller.refusal, cells)):
            raise UsageError(reason)
    return unroller


def reference_unroller() -> Unroller:
    """Return the plain loop: the unroller that declares `is_reference`."""
    return construct("unroller", unrollers.declaring("is_reference"))


def ranked(cells: Sequence[Cell]) -> list[tuple[int, Unroller]]:
    """Return the unrollers that `auto` may take for all of `cells` with their ranks, the highest first."""
    candidates: list[tuple[int, Unroller]] = []
    for kind in unrollers.values():
        if kind.auto_rank is None and kind.rank is Unroller.rank:
            continue  # only by name: it may not even be built without options
        candidate = kind()
        ranks = [candidate.rank(cell) for cell in cells] or [kind.auto_rank]
        known = [rank for rank in ranks if rank is not None]
        if len(known) == len(ranks):
            candidates.append((min(known), candidate))
    return sorted(candidates, key=lambda pair: -pair[0])


def resolve(given: str | type[Kind], base: type, registry: Registry[Kind], noun: str) -> type[Kind]:
    """Return the class that a name, MODULE:CLASS or class stands for.

    Raises:
        UnknownNameError: nothing is registered under that name.
        PluginError: the module cannot be imported.
        UsageError: it is something else.
    """
    if isinstance(given, str) and not is_path(given):
        return _registered(given, registry, noun)
    kind: Any = imported(given) if isinstance(given, str) else given
    if inspect.isclass(kind) and issubclass(kind, base):
        return cast("type[Kind]", kind)
    what = f"{given!r}, {described(kind)}" if isinstance(given, str) else described(given)
    must = f"it must be a registered name or a class derived from {base.__name__}"
    raise UsageError(f"the {noun} is {what}; {must}{_such_as(given, base)}")


def _registered(name: str, registry: Registry[Kind], noun: str) -> type[Kind]:
    """Return the class of that name; what looks like a class that is not registered is told how it is named."""
    try:
        return registry[name]
    except UnknownNameError:
        if told := remedy(name):
            raise UnknownNameError(f"unknown {noun} {name!r}; {told}") from None
        raise


def _such_as(given: object, base: type) -> str:
    """Offer the classes that would do, of the module that MODULE:CLASS names."""
    module = given.partition(":")[0] if isinstance(given, str) else ""
    known = classes(sys.modules[module], base) if module in sys.modules else []
    return f", such as {' or '.join(f'{module}:{name}' for name in known[:3])}" if known else ""


def option_names(kind: type) -> tuple[list[str], bool]:
    """Return the keyword options of a constructor, and whether it takes any others too; a cell's two sizes are none."""
    parameters = list(inspect.signature(kind).parameters.values())
    own = parameters[2:] if issubclass(kind, Cell) else parameters
    names = [p.name for p in own if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    return names, any(p.kind is p.VAR_KEYWORD for p in parameters)


def check_options(noun: str, kind: Any, options: Mapping[str, Any]) -> None:
    """Raise UsageError for an option that the class lacks, naming those that it has."""
    names, takes_any = option_names(kind)
    for name in options:
        if name not in names and not takes_any:
            raise _no_option(noun, kind, name, names)


def construct(noun: str, kind: Callable[..., Kind], *sizes: int, **options: Any) -> Kind:
    """Build an object of somebody's class; what its constructor raises is told in one line that names the class.

    Args:
        noun: "cell", "task" or "unroller".
        kind: the class.
        *sizes: what it is given without being asked, as the two sizes of a cell.
        **options: of the user's.

    Raises:
        UsageError: the constructor refuses the options, by a ValueError; KindError: by a TypeError.
        PluginError: it fails in another way.
    """
    try:
        built = kind(*sizes, **options)
    except (RnnkitError, OSError, MemoryError):
        raise
    except Exception as error:
        if type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error):
            raise
        raise _refused(noun, kind, options, error) from error
    note(built, options)
    return built


def _refused(noun: str, kind: Any, options: Mapping[str, Any], error: Exception) -> RnnkitError:
    """Say what a constructor raised, in the kind of error that answers it."""
    unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error)) if isinstance(error, TypeError) else None
    if unknown and unknown[1] in options:
        return _no_option(noun, kind, unknown[1], _inherited_names(kind))
    name = getattr(kind, "name", kind.__name__)
    given = listed(options)
    sentence = f"{noun} {name!r} cannot be built{f' with {given}' if given else ''}: "
    if not isinstance(error, ValueError | TypeError):
        return PluginError(sentence + one_line(error))
    sentence += said(error) or type(error).__name__
    return UsageError(sentence) if isinstance(error, ValueError) else KindError(sentence)


def _inherited_names(kind: type) -> list[str]:
    """Return the options of a class and, where it hands others on, of those that it is derived from."""
    names: dict[str, None] = {}
    for base in kind.__mro__:
        if "__init__" in vars(base) and base.__module__.partition(".")[0] not in ("torch", "builtins"):
            own, takes_any = option_names(base)
            names |= dict.fromkeys(own)
            if not takes_any:
                break
    return list(names)


def _no_option(noun: str, kind: Any, name: str, names: list[str]) -> KindError:
    known = ", ".join(names) or "none"
    return KindError(f"{noun} {kind.name!r} has no option {name!r}{nearest(name, names)}; its options: {known}")
