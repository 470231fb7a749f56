"""The temporary folder: locked as long as its process lives, so that what a killed one left is told apart at once."""

import fcntl
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ABANDONED = 24 * 3600.0
"""Seconds after which a temporary name whose lock tells nothing belongs to a process that was killed."""

PREFIX, SUFFIX = "rnnkit-kernel-", ".tmp"
TEMPORARY = re.compile(rf"{PREFIX}\w+{re.escape(SUFFIX)}")

LOCK = "lock"
"""The file of a folder that its process locks, and then writes to."""


@contextmanager
def temporary_folder(within: Path | None = None) -> Iterator[Path]:
    """Return a folder of one's own for a while; a later `remove_abandoned` takes it away if this process is killed.

    It lies where temporary files do, or `within` another folder.
    """
    with tempfile.TemporaryDirectory(prefix=PREFIX, suffix=SUFFIX, dir=within, ignore_cleanup_errors=True) as folder:
        descriptor = hold(Path(folder))
        try:
            yield Path(folder)
        finally:
            if descriptor is not None:
                os.close(descriptor)


def hold(folder: Path) -> int | None:
    """Lock a folder for as long as the descriptor is open; None where there are no locks."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.write(descriptor, b"held")
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def remove_abandoned(folder: Path) -> None:
    """Remove the user's temporary files and folders in a folder whose processes are gone."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not TEMPORARY.fullmatch(entry.name):
                continue
            with suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                if status.st_uid == os.geteuid() and _is_abandoned(entry.path, status):
                    if stat.S_ISDIR(status.st_mode):
                        shutil.rmtree(entry.path)
                    else:
                        os.unlink(entry.path)


def _is_abandoned(path: str, status: os.stat_result) -> bool:
    """Tell whether the process of a temporary file or folder is gone; by its age where no lock tells."""
    held = _is_held(path) if stat.S_ISDIR(status.st_mode) else None
    return status.st_mtime < time.time() - ABANDONED if held is None else not held


def _is_held(folder: str) -> bool | None:
    """Tell whether a process holds a folder, False if it has done so and does no longer; None: nobody can tell."""
    try:
        descriptor = os.open(os.path.join(folder, LOCK), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False if os.read(descriptor, 1) else None  # its process has made the file, and not locked it yet
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)
