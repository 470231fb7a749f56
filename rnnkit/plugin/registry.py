"""The registries: names -> classes, filled by plugins on the first look-up."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from functools import cache
from typing import Any, Generic, TypeVar

from rnnkit.core.cell import Cell
from rnnkit.core.collection import collection_put_off
from rnnkit.core.task import Task
from rnnkit.core.unroller import Unroller
from rnnkit.errors import AmbiguousNameError, BrokenPluginError, UnknownNameError, nearest
from rnnkit.loaders.from_loader import from_loader
from rnnkit.plugin.loader import Origin, Plugin, allow_list, discover, load

Kind = TypeVar("Kind")


class Registry(Mapping[str, type[Kind]], Generic[Kind]):
    """A read-only mapping from name to class.

    A name that two distributions claim is in neither's favour: looking it up raises and names both.

    Raises:
        UnknownNameError: nothing has that name; the message offers the nearest one.
        AmbiguousNameError: several distributions have it.
        BrokenPluginError: the plugin of that name did not load.
    """

    def __init__(self, noun: str, hook: str, plugins: Callable[[], Sequence[Plugin]]) -> None:
        self._noun = noun
        self._hook = hook
        self._plugins = plugins

    def _claims(self) -> dict[str, list[tuple[type[Kind], Origin]]]:
        claims: dict[str, list[tuple[type[Kind], Origin]]] = {}
        for plugin in self._plugins():
            for kind in plugin.offers.get(self._hook, ()):
                claims.setdefault(kind.name, []).append((kind, plugin.origin))  # type: ignore[attr-defined]
        return claims

    def _claim(self, name: str) -> tuple[type[Kind], Origin]:
        claims = self._claims()
        if name not in claims:
            raise self._unknown(name, [n for n, claimants in claims.items() if len(claimants) == 1])
        if len(claims[name]) > 1:
            raise AmbiguousNameError(self.conflicts()[name])
        return claims[name][0]

    def conflicts(self) -> dict[str, str]:
        """Return each name that is claimed more than once, with a sentence that names the claimants."""
        sentences = {}
        for name, claims in self._claims().items():
            if len(claims) > 1:
                who = sorted({f"{origin.distribution} {origin.version}" for _, origin in claims})
                sentences[name] = (
                    f"{self._noun} {name!r} is registered by {' and '.join(who)}; uninstall one, or let in one alone "
                    "with RNNKIT_PLUGINS=NAME,..."
                    if len(who) > 1
                    else f"{self._noun} {name!r} is registered twice by {who[0]}; one of the two needs another name"
                )
        return sentences

    def names_from(self, plugin: Plugin) -> list[str]:
        """Return the names that a plugin registers here."""
        return [kind.name for kind in plugin.offers.get(self._hook, ())]  # type: ignore[attr-defined]

    def _unknown(self, name: object, known: list[str]) -> UnknownNameError | BrokenPluginError:
        if not isinstance(name, str):
            return UnknownNameError(f"{name!r} is not the name of a {self._noun}; names are words")
        broken = [plugin for plugin in self._plugins() if plugin.problems]
        for plugin in broken:
            entry = plugin.origin.entry.name
            if name in (entry, entry.removeprefix(f"{self._noun}-"), plugin.origin.distribution.split("-", 1)[-1]):
                return BrokenPluginError(
                    f"{self._noun} {name!r}: plugin {plugin.origin.label} is broken: {plugin.problems[0]}; "
                    "mend or uninstall it"
                )
        hint = f" ({len(broken)} broken; see `rnnkit doctor`)" if broken else ""
        return UnknownNameError(
            f"unknown {self._noun} {name!r}{nearest(name, known)}; `rnnkit {self._noun}s` lists what there is{hint}"
        )

    def __getitem__(self, name: str) -> type[Kind]:
        return self._claim(name)[0]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(name for name, claims in self._claims().items() if len(claims) == 1))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return name in set(self)

    def declaring(self, attribute: str) -> type[Kind]:
        """Return the class that sets an attribute to true in its own body: so the core finds it, whatever its name.

        A class derived from it does not declare what it inherits.

        Raises:
            UnknownNameError: none does.
            AmbiguousNameError: several do.
        """
        kinds = {name: kind for name, kind in self.items() if vars(kind).get(attribute)}
        if not kinds:
            raise UnknownNameError(f"no {self._noun} that is registered declares {attribute}; see `rnnkit doctor`")
        if len(kinds) > 1:
            raise AmbiguousNameError(
                f"{self._noun}s {' and '.join(map(repr, kinds))} all declare {attribute}, which one alone may; "
                "uninstall the others, or let in one alone with RNNKIT_PLUGINS=NAME,..."
            )
        return next(iter(kinds.values()))

    def origin(self, name: str) -> str:
        """Tell where a name comes from: distribution and version."""
        origin = self._claim(name)[1]
        return f"{origin.distribution} {origin.version}"

    def __repr__(self) -> str:
        return f"<Registry of {self._noun}s: {', '.join(self)}>"


class TaskRegistry(Registry[Task]):
    """The tasks by name; and `from_loader`, which makes one of data of your own."""

    from_loader = staticmethod(from_loader)


def verify(base: type) -> Callable[[Any], str | None]:
    """Make the test that a class returned by a hook must pass: a named, finished subclass of `base`."""

    def problem(kind: Any) -> str | None:
        if not inspect.isclass(kind):
            return f"{kind!r} is not a class; hooks return classes, not instances"
        if not issubclass(kind, base):
            return f"{kind.__qualname__} is not a {base.__name__}; derive it from rnnkit.{base.__name__}"
        name = getattr(kind, "name", None)
        if not isinstance(name, str) or not name or not name.isprintable() or " " in name:
            return f"{kind.__qualname__}.name is {name!r}; it must be a word"
        if inspect.isabstract(kind):
            missing = ", ".join(sorted(getattr(kind, "__abstractmethods__", ())))
            return f"{kind.__qualname__} does not define {missing}"
        for option in inspect.signature(kind).parameters.values():
            given = option.name in ("input_size", "hidden_size") or option.kind in (
                option.VAR_POSITIONAL,
                option.VAR_KEYWORD,
            )
            if option.default is option.empty and not given:
                return f"{kind.__qualname__} cannot be built without {option.name!r}; give it a default"
        return None

    return problem


VERIFIERS = {
    "rnnkit_cells": verify(Cell),
    "rnnkit_tasks": verify(Task),
    "rnnkit_unrollers": verify(Unroller),
}


_underway: ContextVar[list[Plugin] | None] = ContextVar("plugins that are being loaded", default=None)


def installed() -> tuple[Plugin, ...]:
    """Load what is installed, once for each value of `RNNKIT_PLUGINS`.

    A plugin that asks while it is loaded itself, to derive its cell from a registered one, is given those before it.
    """
    underway = _underway.get()
    if underway is not None:
        return tuple(underway)
    allowed = allow_list()
    return _load(None if allowed is None else frozenset(allowed))


@cache
def _load(allowed: frozenset[str] | None) -> tuple[Plugin, ...]:
    plugins: list[Plugin] = []
    token = _underway.set(plugins)
    try:
        with collection_put_off():
            load(discover(), VERIFIERS, plugins)
    finally:
        _underway.reset(token)
    return tuple(plugins)


cells: Registry[Cell] = Registry("cell", "rnnkit_cells", installed)
unrollers: Registry[Unroller] = Registry("unroller", "rnnkit_unrollers", installed)
tasks = TaskRegistry("task", "rnnkit_tasks", installed)


def problems_of(plugin: Plugin) -> list[str]:
    """Return a sentence for each thing that is wrong with a plugin, names that others claim too included."""
    clashes = [
        sentence
        for registry in (cells, unrollers, tasks)
        for name, sentence in registry.conflicts().items()
        if name in registry.names_from(plugin)
    ]
    return [*plugin.problems, *clashes]


def complaints() -> list[str]:
    """Return a sentence for each thing that is wrong with the plugins."""
    broken = [f"plugin {p.origin.label} is broken: {problem}" for p in installed() for problem in p.problems]
    clashes = [sentence for registry in (cells, unrollers, tasks) for sentence in registry.conflicts().values()]
    known = {alias for plugin in installed() for alias in plugin.origin.aliases}
    missing = sorted((allow_list() or set()) - known)
    return [*broken, *clashes, *(f"RNNKIT_PLUGINS lets in {name!r}, which is not installed" for name in missing)]
