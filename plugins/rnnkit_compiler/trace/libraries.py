"""What the code of a step reads of modules that are not the user's: settings, say, or a function that was exchanged."""

import builtins
import importlib
import io
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from datetime import date, datetime
from functools import partial
from types import CodeType, ModuleType
from typing import Any

import numpy as np
import torch

from rnnkit_compiler.trace.frozen import PLAIN, Seen, Unfrozen, frozen
from rnnkit_compiler.trace.identity import identity
from rnnkit_compiler.trace.kinds import LEVELS, level
from rnnkit_compiler.trace.named import Names, line_of

SETTINGS: tuple[Callable[[], Any], ...] = (
    *(torch.get_num_threads, torch.get_num_interop_threads, torch.get_float32_matmul_precision),
    *(torch.are_deterministic_algorithms_enabled, torch.is_deterministic_algorithms_warn_only_enabled),
    *(torch.get_deterministic_debug_mode, torch.get_default_device, torch.is_inference_mode_enabled),
    *(np.geterr, np.get_printoptions, os.getcwd, os.getpid, sys.getrecursionlimit, threading.get_ident),
)
"""Functions whose answers are asked for at every call, where code names one."""

OTHERWISE: tuple[Callable[..., Any], ...] = (
    *(time.time, time.time_ns, time.monotonic, time.monotonic_ns, time.perf_counter, time.perf_counter_ns),
    *(time.process_time, time.process_time_ns, time.thread_time, time.thread_time_ns),
    *(time.localtime, time.gmtime, time.ctime, time.strftime),
    *(open, io.open, os.open, os.stat, os.listdir, os.scandir, os.path.exists, os.path.getmtime, os.path.getsize),
    *(threading.current_thread, threading.active_count, torch.initial_seed, torch.get_rng_state, os.urandom),
)
"""Functions that may answer otherwise at any time."""

DATES, CLOCKS = (date, datetime), frozenset(("now", "utcnow", "today"))
"""Classes whose methods of these names do so as well."""

_SETTINGS, _OTHERWISE = frozenset(map(id, SETTINGS)), frozenset(map(id, OTHERWISE))

OF_MEMORY = frozenset(("_version", "data_ptr", "untyped_storage", "is_shared", "is_pinned", "retains_grad"))
"""What a tensor tells of its memory, which is another's while a step is recorded."""

ASKED = OF_MEMORY | {"initial_seed", "locked", "is_alive", "qsize", "__subclasses__"}
"""What may be answered otherwise at any time."""

IMPORTING = frozenset(("import_module", "__import__", "modules"))
"""What finds modules by names in a text."""

BUILTIN_CONTAINERS = (list, dict, set, tuple)


class Libraries:
    """What functions name of modules of libraries."""

    def __init__(self) -> None:
        self._names: dict[int, tuple[ModuleType, dict[str, None]]] = {}
        self._settings: dict[Callable[[], Any], None] = {}
        self.loggers: list[logging.Logger] = []
        self._asks_for_levels = False
        self.asks_for_grad = ""
        """Where something asks for an attribute `grad`, of a parameter maybe."""

    def look_into(self, code: CodeType, names: Names, table: Mapping[str, Any]) -> Iterator[Any]:
        """Note what a function's code names of libraries, by chains such as `torch.nn.relu`; give what it is.

        Args:
            code: of the function.
            names: in it.
            table: its globals.

        Raises:
            Unfrozen: it asks what changes at any time.
        """
        for name in names.outside:
            found = table.get(name, vars(builtins).get(name))
            if name not in table and found is not None:
                self._names.setdefault(id(builtins), (builtins, {}))[1][name] = None
            self._check(found, code, name)
        for chain in names.chains:
            found = table.get(chain[0])
            for name in chain[1:]:
                if any(found is one for one in DATES) and name in CLOCKS:
                    raise Unfrozen(_otherwise(code, name))
                if not isinstance(found, ModuleType):
                    break
                self._names.setdefault(id(found), (found, {}))[1][name] = None
                found = getattr(found, name, None)
                self._check(found, code, name)
            if found is not sys.modules:
                yield found
        self._asks_for_levels |= not LEVELS.isdisjoint(names.attributes)
        if asked := sorted(ASKED.intersection(names.asked) | {chain[-1] for chain in names.chains} & ASKED):
            raise Unfrozen(f"{line_of(code, asked[0])} asks for {asked[0]}, which may be another at any time")
        if "grad" in names.asked:
            self.asks_for_grad = self.asks_for_grad or line_of(code, "grad")
        if not IMPORTING.isdisjoint((*names.outside, *names.attributes)):
            yield from self._modules_in(code, names, table)

    def _check(self, found: Any, code: CodeType, name: str) -> None:
        if id(found) in _SETTINGS:
            self._settings[found] = None
        elif id(found) in _OTHERWISE:
            raise Unfrozen(_otherwise(code, name))

    def _modules_in(self, code: CodeType, names: Names, table: Mapping[str, Any]) -> Iterator[ModuleType]:
        """Give the modules that code finds by a text."""
        called = {getattr(table.get(chain[0]), chain[-1], None) is one for chain in names.chains for one in FINDERS}
        named = {table.get(name, vars(builtins).get(name)) is one for name in names.outside for one in FINDERS}
        if any((*called, *named)):
            modules = [sys.modules[text] for text in names.texts if text in sys.modules]
            if not modules:
                name = next(name for name in (*names.outside, *names.attributes) if name in IMPORTING)
                raise Unfrozen(f"{line_of(code, name)} finds a module by a name that is not written there")
            yield from modules

    def lookups(self) -> Iterator[tuple[Mapping[str, Any], tuple[str, ...]]]:
        """Give tables and the names that are looked up there."""
        for module, names in self._names.values():
            yield vars(module), tuple(names)

    def readings(self) -> Iterator[tuple[Callable[[], Any], str]]:
        """Say how to read what lookups do not tell."""
        for module, name, value in self._values():
            if isinstance(value, BUILTIN_CONTAINERS) or (name not in vars(module) and isinstance(value, PLAIN)):
                yield partial(getattr, module, name), name
        yield from ((one, one.__name__) for one in self._settings)
        if self._asks_for_levels:
            yield from ((partial(level, logger), logger.name) for logger in self.loggers)

    def key(self, seen: Seen) -> tuple[Hashable, ...]:
        """Describe what is not read."""
        values = (value for _, _, value in self._values() if not isinstance(value, BUILTIN_CONTAINERS))
        return tuple(frozen(value, "", seen) if isinstance(value, PLAIN) else identity(value) for value in values)

    def _values(self) -> Iterator[tuple[ModuleType, str, Any]]:
        for module, names in self._names.values():
            for name in names:
                value = getattr(module, name, None)
                if value is not sys.modules:
                    yield module, name, value


def _otherwise(code: CodeType, name: str) -> str:
    return f"{line_of(code, name)} calls {name}(), which may answer otherwise at any time"


FINDERS: tuple[Any, ...] = (sys.modules, importlib.import_module, builtins.__import__)
