"""Files that are there whole or not at all, after a kill or a power cut too."""

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath

from rnnkit.errors import CheckpointError, ResourceError
from rnnkit.support.paths import AnyPath, as_path

PARTIAL = ".partial"
"""How the names end, hidden ones, of what is not yet or no longer there."""

SCARCE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""What is wrong with the process or the machine, not with a file."""


def write_file(path: AnyPath, data: bytes) -> None:
    """Write a file, over one that may be there.

    Raises:
        ResourceError: the disk or folder takes no more; what was there stays.
    """
    with tried_file(path, data):
        pass


@contextmanager
def tried_file(path: AnyPath, data: bytes) -> Iterator[Path]:
    """Write a file under another name, for the block to try it, and give it its own once the block has ended well.

    Raises:
        ResourceError: the disk or folder takes no more; what was there stays.
    """
    path = as_path(path)
    partial = _partial(path)
    try:
        with reported(path):
            _write_through(partial, data)
        yield partial
        with reported(path):
            os.replace(partial, path)
            sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            os.unlink(partial)
        raise


def write_folder(path: AnyPath, files: Mapping[str, bytes], folders: Iterable[str] = ()) -> None:
    """Write a new folder of files and empty folders: complete under another name first, then under its own.

    Args:
        path: of the folder.
        files: what each holds, by its path within.
        folders: those that are empty.

    Raises:
        ResourceError: the disk or folder takes no more; nothing is left behind.
    """
    path = as_path(path)
    partial = _partial(path)
    with reported(path):
        try:
            with suppress(FileNotFoundError):  # a process of this number may have been killed here
                _remove(partial)
            os.mkdir(partial)
            inner = [partial / name for name in _folders_of(files)]
            for folder in inner:
                os.mkdir(folder)
            for name, data in files.items():
                _write_through(partial / name, data)
            for name in folders:
                os.mkdir(partial / name)
            for folder in (*inner, partial):
                sync_folder(folder)
            os.rename(partial, path)
            sync_folder(path.parent)
        except OSError:
            with suppress(OSError):
                _remove(partial)
            raise


def remove_folder(path: AnyPath) -> None:
    """Remove a folder of files; one that is interrupted is no longer seen under its name."""
    path = as_path(path)
    doomed = _partial(path)
    with reported(path):
        os.rename(path, doomed)
        _remove(doomed)


def sweep(folder: AnyPath) -> None:
    """Remove what a writer that was killed has left in a folder. No other process may be writing there."""
    folder = as_path(folder)
    with reported(folder):
        for name in os.listdir(folder):
            if name.startswith(".") and name.endswith(PARTIAL):
                _remove(folder / name)


def sync_folder(path: AnyPath) -> None:
    """Have the names in a folder on disk."""
    path = as_path(path)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_file(path: AnyPath, limit: int) -> bytes:
    """Read a regular file of at most `limit` bytes; never waits on a pipe, never follows a link.

    Raises:
        CheckpointError: it is missing, of another kind, too large or unreadable.
        ResourceError: no more files can be opened.
    """
    path = as_path(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise CheckpointError(f"{path} is not a regular file")
        if about.st_size > limit:
            raise CheckpointError(f"{path} has {about.st_size} bytes; at most {limit} were expected, so it is damaged")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(about.st_size + 1)
    except OSError as error:
        raise unreadable(path, error) from None
    finally:
        os.close(descriptor)


def unreadable(path: AnyPath, error: Exception) -> CheckpointError | ResourceError:
    """Say why a file or folder of a run's cannot be read: it is at fault, or the machine is."""
    path = as_path(path)
    number = getattr(error, "errno", None)
    kind = ResourceError if number in SCARCE else CheckpointError
    remedy = "; allow more (ulimit -n)" if number in (errno.EMFILE, errno.ENFILE) else ""
    return kind(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}{remedy}")


def _folders_of(files: Iterable[str]) -> list[PurePath]:
    """Return the folders that files lie in, each after the one that it is in; the outermost is none of them."""
    every = [folder for name in files for folder in reversed(PurePath(name).parents)]
    return list(dict.fromkeys(folder for folder in every if folder.name))


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")


def _write_through(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    """Remove a file, or a folder and all that is in it."""
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        os.unlink(path)
        return
    for name in os.listdir(path):
        _remove(path / name)
    os.rmdir(path)


@contextmanager
def reported(path: AnyPath) -> Iterator[None]:
    """Turn an error of the system into a ResourceError that names `path`."""
    path = as_path(path)
    try:
        yield
    except OSError as error:
        raise ResourceError(f"{path} cannot be written: {error.strerror}") from None
