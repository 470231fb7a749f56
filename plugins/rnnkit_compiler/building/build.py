"""The build: a source in C++ becomes a library in this process, from memory, from disk or from the compiler."""

import ctypes
import hashlib
import json
import logging
import os
import sys
import time
from itertools import dropwhile
from pathlib import Path
from typing import TYPE_CHECKING

from rnnkit_compiler.building.cache import fetch, store, temporary_folder
from rnnkit_compiler.building.compilation import ADVICE, HEADERS, CompileError, compile_library
from rnnkit_compiler.building.toolchain import COMPILER, Toolchain, instruction_set, toolchain
from rnnkit_compiler.forks import fork_safe_lock

if TYPE_CHECKING:
    from _thread import LockType

SHOW = "RNNKIT_SHOW"
"""The environment variable that has every source printed to stderr when this process first asks for it."""

FORMAT = 1
"""Part of every key: to be raised when what is stored under a key changes its meaning."""

logger = logging.getLogger(__name__)

_Asked = tuple[Toolchain, str]
_outcomes: dict[_Asked, ctypes.CDLL | CompileError] = {}
_locks: "dict[_Asked, LockType]" = {}


def build(source: str) -> ctypes.CDLL:
    """Give the library of `source`, a translation unit that may include the headers in `cpp/`.

    It is compiled once: threads that ask for the same source wait for one of them, later processes find it on disk.
    So is a failure told again without another attempt, as long as the process lives.

    Raises:
        CompileError: there is no compiler, it fails, or the library does not load; do without it.
    """
    tools = toolchain()
    if tools is None:
        raise CompileError(f"there is no C++ compiler; install g++ or clang++, or name one by {COMPILER}")
    asked = (tools, source)
    if asked not in _outcomes:
        with _locks.setdefault(asked, fork_safe_lock()):
            if asked not in _outcomes:
                _outcomes[asked] = _attempt(source, tools)
    outcome = _outcomes[asked]
    if isinstance(outcome, CompileError):
        raise CompileError(str(outcome), outcome.log)  # a new one: a traceback grows each time that it is raised
    return outcome


def _attempt(source: str, tools: Toolchain) -> ctypes.CDLL | CompileError:
    """Load a source's library from disk, or compile, load and store it; gives the error if that fails."""
    if os.environ.get(SHOW, "0") not in ("", "0"):
        print(source, file=sys.stderr, flush=True)
    try:
        key = cache_key(source, tools)
        return _load_stored(key) or _compile_and_store(key, source, tools)
    except CompileError as error:
        return error
    except OSError as error:  # no room for temporary files, no headers
        return CompileError(f"a kernel cannot be compiled: {error}; {ADVICE}")


def cache_key(source: str, tools: Toolchain) -> str:
    """Give the name of a library in the cache: 64 hexadecimal digits, of all that its machine code depends on.

    The comment that a source begins with is left out: cells of other names with the same step share a kernel. The
    headers are read each time, so that one that is edited while the process runs counts as it is.
    """
    code = "\n".join(dropwhile(_is_comment, source.splitlines()))
    headers = {path.name: path.read_text(encoding="utf-8") for path in sorted(HEADERS.glob("*.h"))}
    parts = [FORMAT, code, headers, instruction_set(), tools.identity, tools.flags]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _is_comment(line: str) -> bool:
    return line.startswith("//") or not line.strip()


def _load_stored(key: str) -> ctypes.CDLL | None:
    """Load a library from disk; None if it is not there or does not load."""
    library = fetch(key)
    if library is None:
        return None
    try:
        return _load(library)
    except CompileError as error:
        logger.info("%s: the stored kernel is compiled anew (%s)", key, error)
        return None


def _compile_and_store(key: str, source: str, tools: Toolchain) -> ctypes.CDLL:
    """Compile a library, load it, and store it once it has loaded."""
    start = time.perf_counter()
    library = compile_library(source, tools, key)
    seconds = time.perf_counter() - start
    loaded = _load(library)
    logger.debug("%s: compiled in %.2f s by %s", key, seconds, tools.identity)
    facts = {"compiler": tools.identity, "flags": tools.flags, "instruction_set": instruction_set()}
    store(key, library, source, {**facts, "seconds": round(seconds, 3)})
    return loaded


def _load(library: bytes) -> ctypes.CDLL:
    """Load a library by its bytes: a copy that nobody else can reach, so that what was checked is what runs.

    The copy's name is never used twice; the system's loader takes one that it knows for the same library.
    """
    with temporary_folder() as folder:
        path = Path(folder, "kernel.so")
        path.write_bytes(library)
        try:
            return ctypes.CDLL(str(path))
        except OSError as error:
            raise CompileError(f"a compiled kernel does not load: {error}; {ADVICE}") from error
