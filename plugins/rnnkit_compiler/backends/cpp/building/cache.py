"""The cache: compiled kernels on disk, each whole and as it was written, or else not there.

A kernel is three files: KEY.so, KEY.cpp (its source, for reading) and KEY.json (what it is, and the sha256 of KEY.so).
Each comes into its place by a rename, the .json last, so processes need no lock. KEY.log says why a source did not
compile.
"""

import atexit
import hashlib
import json
import logging
import os
import re
import shutil
import stat
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from rnnkit_compiler._forks import fork_safe_lock
from rnnkit_compiler.backends.cpp.building.temporary import PREFIX, SUFFIX, TEMPORARY, hold, remove_abandoned

FOLDER = "RNNKIT_CACHE"
"""The environment variable that names the folder; `$XDG_CACHE_HOME/rnnkit` or `~/.cache/rnnkit` without it."""

CAPACITY = 512 * 2**20
"""Bytes that are kept; beyond, the least recently used kernels go."""

OURS = re.compile(r"([0-9a-f]{64})\.(?:so|cpp|json|log)")

logger = logging.getLogger(__name__)

_choosing, _saying = fork_safe_lock(), fork_safe_lock()


# ---- The folder ----


def cache_folder() -> Path:
    """Return the folder, made if need be; a temporary one of this process's own where that is not safe or possible.

    Safe is a folder that belongs to the user and that nobody else can write to.
    """
    with _choosing:  # so that threads at once share one folder
        return _usable(_wanted())


def _wanted() -> Path:
    """Return the folder that the environment asks for."""
    chosen = os.environ.get(FOLDER)
    if chosen:
        return Path(os.path.abspath(os.path.expanduser(chosen)))
    base = os.environ.get("XDG_CACHE_HOME", "")
    return Path(base if os.path.isabs(base) else os.path.expanduser("~/.cache"), "rnnkit")


@cache
def _usable(wanted: Path) -> Path:
    """Make the folder if need be; return it, or a temporary one after saying why."""
    try:
        if not wanted.is_absolute():
            raise FileNotFoundError("the user has no home folder")
        wanted.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_safe(wanted.stat())
    except OSError as error:
        logger.warning(
            "%s: compiled kernels cannot be kept here (%s), so each process compiles its own; name a folder by %s",
            wanted,
            error.strerror or error,
            FOLDER,
        )
        private = Path(tempfile.mkdtemp(prefix=PREFIX, suffix=SUFFIX))
        hold(private)
        atexit.register(shutil.rmtree, private, ignore_errors=True)
        return private
    return wanted


def _check_safe(status: os.stat_result) -> None:
    """Raise PermissionError if another user owns the file or folder of this status, or can write to it."""
    if status.st_uid != os.geteuid():
        raise PermissionError("it belongs to another user")
    if stat.S_IMODE(status.st_mode) & 0o022:
        raise PermissionError("others can write to it; chmod go-w")


# ---- Kernels ----


def fetch(key: str) -> bytes | None:
    """Return the library that was stored under `key`; None if there is none, or not as it was written.

    Whoever loads it must load these bytes: the file may be another one by then.
    """
    record, library = (cache_folder() / f"{key}{ending}" for ending in (".json", ".so"))
    try:
        facts, data = json.loads(_read(record)), _read(library)
        if facts["key"] != key or facts["sha256"] != hashlib.sha256(data).hexdigest():
            raise ValueError("it is not what was written")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:  # damaged files can be anything
        logger.info("%s: the kernel is compiled anew (%s)", library, error)
        return None
    with suppress(OSError):  # a folder that can only be read
        os.utime(record)  # pruning goes by it
    return data


def store(key: str, library: bytes, source: str, facts: Mapping[str, Any]) -> None:
    """Keep a kernel, then prune; where that cannot be done, say so once and go on."""
    folder = cache_folder()
    record = {"key": key, "sha256": hashlib.sha256(library).hexdigest(), **facts}
    try:
        _write(folder / f"{key}.cpp", source.encode())
        _write(folder / f"{key}.so", library)
        _write(folder / f"{key}.json", json.dumps(record, indent=2).encode() + b"\n")
    except OSError as error:
        _say_unwritable(folder, error.strerror or str(error))
    prune()


def store_log(key: str, log: bytes, source: str) -> Path | None:
    """Keep what the compiler said about a source that it refused; return the file, None if it cannot be written."""
    path = cache_folder() / f"{key}.log"
    try:
        _write(path.with_suffix(".cpp"), source.encode())
        _write(path, log)
    except OSError as error:
        _say_unwritable(path.parent, error.strerror or str(error))
        return None
    return path


def _say_unwritable(folder: Path, why: str) -> None:
    """Say once for each reason that the folder can at most be read."""
    with _saying:
        _warn_of(folder, why)


@cache
def _warn_of(folder: Path, why: str) -> None:
    logger.warning(
        "%s: compiled kernels cannot be stored (%s), so each process compiles its own; make room or set %s",
        folder,
        why,
        FOLDER,
    )


class StoredLibrary(NamedTuple):
    """A library, and the key that it is stored under."""

    key: str
    library: bytes


def find(code: str) -> StoredLibrary | None:
    """Return the newest library that any compiler made of the same code; None if there is none."""
    paths = [path for path, _ in sorted(_files(cache_folder()), key=lambda file: -file[1].st_mtime_ns)]
    for path in paths:
        if path.suffix == ".json":
            with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
                if json.loads(_read(path))["code"] == code and (library := fetch(path.stem)) is not None:
                    return StoredLibrary(path.stem, library)
    return None


def stored_library(key: str) -> BinaryIO:
    """Open the library that is stored under `key`, for reading.

    Raises:
        OSError: there is none, or others could have written to it.
    """
    return _opened(cache_folder() / f"{key}.so")


def _read(path: Path) -> bytes:
    """Read a regular file that belongs to the user and that nobody else can write to; OSError for any other."""
    with _opened(path) as file:
        return file.read()


def _opened(path: Path) -> BinaryIO:
    """Open a regular file that belongs to the user and that nobody else can write to; OSError for any other."""
    # Without O_NONBLOCK, a named pipe in the file's place would be waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    file = open(descriptor, "rb")  # noqa: SIM115  (given to the caller)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise PermissionError("it is not a file")
        _check_safe(status)
    except BaseException:
        file.close()
        raise
    return file


def _write(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all, whoever else writes it at the same time."""
    descriptor, partial = tempfile.mkstemp(prefix=PREFIX, suffix=SUFFIX, dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        os.replace(partial, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(partial)
        raise


# ---- Size ----


def cache_size() -> tuple[int, int]:
    """Count what the cache holds: (files, bytes)."""
    sizes = [status.st_size for _, status in _files(cache_folder())]
    return len(sizes), sum(sizes)


def clear_cache() -> tuple[int, int]:
    """Remove every file of the cache, and no other, from its folder; return how many (files, bytes) that were."""
    files = size = 0
    for path, status in _files(cache_folder()):
        if _remove(path):
            files, size = files + 1, size + status.st_size
    return files, size


def prune(capacity: int | None = None) -> None:
    """Remove what killed processes left, and the least recently used kernels beyond `capacity` bytes.

    The capacity is CAPACITY if not given.
    """
    folders = {cache_folder()}
    with suppress(OSError):  # there is none
        folders.add(Path(tempfile.gettempdir()))
    for folder in folders:
        remove_abandoned(folder)
    kernels: dict[str, list[tuple[Path, os.stat_result]]] = defaultdict(list)
    for path, status in _files(cache_folder()):
        kernels[path.stem].append((path, status))
    surplus = sum(status.st_size for kernel in kernels.values() for _, status in kernel)
    surplus -= CAPACITY if capacity is None else capacity
    for kernel in sorted(kernels.values(), key=lambda kernel: max(status.st_mtime_ns for _, status in kernel)):
        if surplus <= 0:
            return
        surplus -= sum(status.st_size for path, status in kernel if _remove(path))


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Return each regular file of the cache's by its name, and what `stat` finds."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            named = OURS.fullmatch(entry.name) or TEMPORARY.fullmatch(entry.name)
            with suppress(OSError):  # another process removed it
                if named and entry.is_file(follow_symlinks=False):
                    yield Path(entry.path), entry.stat(follow_symlinks=False)


def _remove(path: Path) -> bool:
    """Remove a file; says whether it was there to be removed."""
    try:
        path.unlink()
    except OSError:
        return False
    return True
