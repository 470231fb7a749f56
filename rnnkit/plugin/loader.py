"""Plugins: discover, load, verify. A broken one is kept and reported, never fatal to another."""

import math
import os
import re
import sys
from collections.abc import Callable, Iterable
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, NamedTuple

import pluggy

from rnnkit import __version__
from rnnkit.errors import Ending, one_line
from rnnkit.plugin import hookspecs
from rnnkit.plugin.time_limit import TimeIsUpError, time_limit

GROUP = "rnnkit"
FIRST_PARTY = "rnnkit"
ALLOW_LIST = "RNNKIT_PLUGINS"
SECONDS = "RNNKIT_PLUGIN_SECONDS"
"""Environment variable: how many seconds of a processor the import of one plugin may take."""

PATIENCE = 3.0
"""The same where nothing is said; five times that by the clock."""


class Origin(NamedTuple):
    """Where a plugin comes from: an entry point of the group, not imported yet."""

    distribution: str
    version: str
    entry: metadata.EntryPoint
    problem: str = ""
    """Why it cannot even be tried."""

    @property
    def first_party(self) -> bool:
        """Whether it belongs to rnnkit itself."""
        return self.distribution == FIRST_PARTY

    @property
    def label(self) -> str:
        """Name it in lists and errors: `distribution:entry`."""
        return f"{self.distribution}:{self.entry.name}"

    @property
    def aliases(self) -> set[str]:
        """Names by which an allow-list may mean it, spelt with dashes."""
        return {canonical(self.distribution), canonical(self.label)}


@dataclass
class Plugin:
    """A plugin after loading: what it offers, and what is wrong with it."""

    origin: Origin
    offers: dict[str, list[type]] = field(default_factory=dict)
    """Hook name -> the classes that it returned and that passed verification."""
    problems: list[str] = field(default_factory=list)
    """One sentence for each fault."""

    @property
    def names(self) -> list[str]:
        """Names that this plugin registers."""
        return [kind.name for kinds in self.offers.values() for kind in kinds]  # type: ignore[attr-defined]


def discover() -> list[Origin]:
    """List the entry points of installed distributions, first-party ones first, then by distribution and name.

    Reads metadata only. `RNNKIT_PLUGINS=a,b` lets in the third-party distributions (or `distribution:entry`)
    that it names and no others; empty, it lets in none.
    """
    allowed = allow_list()
    by_distribution: dict[str, list[Origin]] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"] or "unknown"
        if canonical(name) not in by_distribution:  # the first on the path is the one that is imported
            by_distribution[canonical(name)] = _entries(name, distribution)
    kept = [
        item
        for items in by_distribution.values()
        for item in items
        if item.first_party or allowed is None or allowed & item.aliases
    ]
    return sorted(kept, key=lambda item: (not item.first_party, item.distribution, item.entry.name))


def _entries(name: str, distribution: metadata.Distribution) -> list[Origin]:
    """Read a distribution's entry points of the group; metadata that is damaged is reported as a plugin's fault."""
    text = distribution.read_text("entry_points.txt") or ""
    if f"[{GROUP}]" not in text:
        return []
    version = distribution.metadata["Version"] or "?"
    try:
        return [Origin(name, version, entry) for entry in distribution.entry_points if entry.group == GROUP]
    except Exception as error:
        nothing = metadata.EntryPoint("entry_points.txt", "", GROUP)
        return [Origin(name, version, nothing, f"its entry points cannot be read ({one_line(error)})")]


def allow_list() -> set[str] | None:
    """Read `RNNKIT_PLUGINS`: None where it is not set, so that every plugin is let in."""
    value = os.environ.get(ALLOW_LIST)
    return None if value is None else {canonical(name) for name in value.split(",") if name.strip()}


def canonical(name: str) -> str:
    """Spell a distribution's name in one way, as package indexes do: `Rnnkit_MGU` -> `rnnkit-mgu`."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


Verifier = Callable[[Any], str | None]
"""Tells what is wrong with a class that a hook returned; None: nothing."""


def load(origins: Iterable[Origin], verifiers: dict[str, Verifier], plugins: list[Plugin]) -> None:
    """Import each plugin, call its hooks, verify what they return; each fault stays with its plugin.

    Args:
        origins: what `discover` gave, first-party plugins first.
        verifiers: for each hook, what a class must pass.
        plugins: to which each is added as it is loaded.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    for item in origins:
        plugin = Plugin(item)
        plugins.append(plugin)
        if item.problem:
            plugin.problems.append(item.problem)
            continue
        try:
            _register(manager, item)
            called = [
                hook for hook, verify in verifiers.items() if _collect(plugin, getattr(manager.hook, hook), verify)
            ]
            if not plugin.offers and not plugin.problems:
                plugin.problems.append(_nothing(called))
        except (KeyboardInterrupt, Ending):
            raise
        except BaseException as error:  # SystemExit too: a plugin that exits must not take the others along
            plugin.problems.append(_sentence(error))
            plugin.offers.clear()
        _reject_shadows(plugins)  # at once: the next one may look up that name


def _register(manager: pluggy.PluginManager, item: Origin) -> None:
    limit = _seconds()
    limited = nullcontext() if item.first_party else time_limit(limit, 5 * limit)
    with redirect_stdout(sys.stderr), limited:  # stdout is for data
        module = item.entry.load()
    manager.register(module, name=item.label)
    try:
        manager.check_pending()  # pluggy takes a misspelt hook in silence without this
    except pluggy.PluginValidationError:
        manager.unregister(name=item.label)
        raise


def _nothing(called: list[str]) -> str:
    """Say why a plugin without a fault offers nothing."""
    if not called:
        return "registers nothing; are its hooks marked with @rnnkit.hookimpl?"
    hooks = " and ".join(f"{hook}()" for hook in called)
    return f"registers nothing: {hooks} returned no class; return the classes that it is to offer"


def _collect(plugin: Plugin, hook: pluggy.HookCaller, verify: Verifier) -> bool:
    """Call this plugin's implementation of a hook and verify each class; tells whether it has one."""
    implemented = False
    for implementation in hook.get_hookimpls():
        if implementation.plugin_name != plugin.origin.label:
            continue
        implemented = True
        returned = implementation.function()
        if not isinstance(returned, Iterable) or isinstance(returned, str):
            plugin.problems.append(f"{hook.name}() returned {type(returned).__name__}; it must return classes")
            continue
        for kind in returned:
            problem = verify(kind)
            if problem is None:
                plugin.offers.setdefault(hook.name, []).append(kind)
            else:
                plugin.problems.append(f"{hook.name}(): {problem}")
    return implemented


def _seconds() -> float:
    """Read `RNNKIT_PLUGIN_SECONDS`; what is no number above zero counts as nothing said."""
    try:
        given = float(os.environ.get(SECONDS, PATIENCE))
    except ValueError:
        return PATIENCE
    return given if 0 < given < math.inf else PATIENCE


def _sentence(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"calls sys.exit({error.code!r}) on import"
    if isinstance(error, TimeIsUpError):
        return f"its import takes more than {_seconds():g} s; import what is slow where it is used, or raise {SECONDS}"
    if isinstance(error, pluggy.PluginValidationError):
        return " ".join(str(error).split()) + (_MAYBE_LATER if "unknown hook" in str(error) else "")
    sentence = one_line(error).removesuffix(f" ({getattr(error, 'path', None)})")  # that an ImportError ends with
    return sentence + (_MAYBE_LATER if _asks_us(error) else "")


_MAYBE_LATER = f"; it may need a later rnnkit than this, {__version__}"


def _asks_us(error: BaseException) -> bool:
    """Whether it asked rnnkit for something that is not here."""
    if isinstance(error, AttributeError):
        return getattr(error.obj, "__name__", "").partition(".")[0] == FIRST_PARTY
    return isinstance(error, ImportError) and (error.name or "").partition(".")[0] == FIRST_PARTY


def _reject_shadows(plugins: list[Plugin]) -> None:
    """Take out third-party classes that carry a first-party name."""
    own = {
        (hook, kind.name)  # type: ignore[attr-defined]
        for plugin in plugins
        if plugin.origin.first_party
        for hook, kinds in plugin.offers.items()
        for kind in kinds
    }
    for plugin in plugins:
        if plugin.origin.first_party:
            continue
        for hook, kinds in plugin.offers.items():
            for kind in [k for k in kinds if (hook, k.name) in own]:  # type: ignore[attr-defined]
                kinds.remove(kind)
                plugin.problems.append(
                    f"{hook}: {kind.__qualname__} shadows the first-party name {kind.name!r}; "  # type: ignore[attr-defined]
                    "give it another"
                )
