"""The build: a source in C++ becomes a library in this process, from memory, from disk or from the compiler."""

import ctypes
import hashlib
import json
import logging
import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from rnnkit_compiler._forks import fork_safe_lock
from rnnkit_compiler.backends.cpp.building.cache import cache_folder, fetch, find, store
from rnnkit_compiler.backends.cpp.building.compilation import ADVICE, CompileError, compile_library
from rnnkit_compiler.backends.cpp.building.headers import headers
from rnnkit_compiler.backends.cpp.building.loading import load
from rnnkit_compiler.backends.cpp.building.toolchain import (
    COMPILER,
    Toolchain,
    instruction_set,
    is_switched_off,
    toolchain,
)

if TYPE_CHECKING:
    from _thread import LockType

SHOW = "RNNKIT_SHOW"
"""The environment variable that has every source printed to stderr when this process first asks for it."""

FORMAT = 1
"""Part of every key: to be raised when what is stored under a key changes its meaning."""

logger = logging.getLogger(__name__)

_Asked = tuple[Toolchain | None, str]
_outcomes: dict[_Asked, ctypes.CDLL | CompileError] = {}
_locks: "dict[_Asked, LockType]" = {}


def build(source: str) -> ctypes.CDLL:
    """Return the library of `source`, a translation unit that may include the headers in `cpp/`.

    It is compiled once: threads that ask for the same source wait for one of them, later processes find it on disk.
    So is a failure told again without another attempt, as long as the process lives, and a warning given once.

    Raises:
        CompileError: there is no compiler, it fails, or the library does not load; do without it.
    """
    if is_switched_off():
        raise CompileError(f"the compiler is switched off by {COMPILER}={os.environ.get(COMPILER, '')}")
    asked = (toolchain(), source)
    if asked not in _outcomes:
        with _locks.setdefault(asked, fork_safe_lock()):
            if asked not in _outcomes:
                _outcomes[asked] = _attempt(source, asked[0])
    outcome = _outcomes[asked]
    if isinstance(outcome, CompileError):
        raise CompileError(str(outcome), outcome.log)  # a new one: a traceback grows each time that it is raised
    return outcome


def _attempt(source: str, tools: Toolchain | None) -> ctypes.CDLL | CompileError:
    """Load a source's library from disk, or compile, load and store it; return the error if that fails.

    Where it cannot be compiled, one that another compiler made before is as good.
    """
    if os.environ.get(SHOW, "0") not in ("", "0"):
        print(source, file=sys.stderr, flush=True)
    try:
        if tools is None:
            raise CompileError(f"there is no C++ compiler; install g++ or clang++, or {ADVICE}")
        key = cache_key(source, tools)
        return _load_stored(key) or _compile_and_store(key, source, tools)
    except CompileError as error:
        failure = error
    except OSError as error:  # no room for temporary files, no headers
        failure = CompileError(f"a kernel cannot be compiled: {error}; {ADVICE}")
    with suppress(OSError):
        other = find(code_digest(source))
        if other is not None:
            loaded = load(other.library, other.key)
            _warn(failure, "one that another compiler made before runs in its place")
            return loaded
    _warn(failure, "cells run on torch's operations, which is slower")
    return failure


def _warn(failure: CompileError, consequence: str) -> None:
    """Say what follows from a failure, the first time for each reason."""
    reason = str(failure) if failure.log is None else str(failure).replace(f" (all of it: {failure.log})", "")
    sentence = f"{failure}; {consequence}"
    if _is_first(_warned, (reason, consequence), sentence):
        logger.warning(sentence)


def _is_first(said: dict[tuple[str, ...], str], occasion: tuple[str, ...], sentence: str) -> bool:
    """Note a sentence; tell whether it is the first on that occasion, of threads at once in one of them alone."""
    return said.setdefault(occasion, sentence) is sentence


_warned: dict[tuple[str, ...], str] = {}


def _tell_why_it_takes_a_while() -> None:
    """Say once in a process that it compiles."""
    sentence = f"compiling kernels, once on this machine; they are kept in {cache_folder()}"
    if _is_first(_told, (), sentence):
        logging.getLogger("rnnkit").info(sentence)


_told: dict[tuple[str, ...], str] = {}


def complaints() -> list[str]:
    """Return what this process has had to say about kernels that could not be compiled."""
    return list(_warned.values())


def cache_key(source: str, tools: Toolchain) -> str:
    """Return the name of a library in the cache: 64 hexadecimal digits, of all that its machine code depends on."""
    return _digest(_code(source), tools.identity, tools.flags)


def code_digest(source: str) -> str:
    """Return what is the same for all compilers that make a library of the same code for this processor."""
    return _digest(_code(source))


def _code(source: str) -> list[object]:
    """Return what a library is made of, without comments: so cells of other names with the same step share a kernel."""
    code = "\n".join(filter(None, (line.partition("//")[0].rstrip() for line in source.splitlines())))
    return [FORMAT, code, headers(), instruction_set()]


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _load_stored(key: str) -> ctypes.CDLL | None:
    """Load a library from disk; None if it is not there or does not load."""
    library = fetch(key)
    if library is None:
        return None
    try:
        return load(library, key)
    except OSError as error:
        logger.info("%s: the stored kernel is compiled anew (%s)", key, error)
        return None


def _compile_and_store(key: str, source: str, tools: Toolchain) -> ctypes.CDLL:
    """Compile a library, load it, and store it once it has loaded."""
    _tell_why_it_takes_a_while()
    start = time.perf_counter()
    library = compile_library(source, tools, key)
    seconds = time.perf_counter() - start
    try:
        loaded = load(library, key)
    except OSError as error:
        raise CompileError(f"a compiled kernel does not load: {error}; {ADVICE}") from error
    logger.debug("%s: compiled in %.2f s by %s", key, seconds, tools.identity)
    facts = {"code": code_digest(source), "compiler": tools.identity, "flags": tools.flags}
    store(key, library, source, {**facts, "instruction_set": instruction_set(), "seconds": round(seconds, 3)})
    return loaded
