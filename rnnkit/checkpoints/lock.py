"""The lock of a run's folder: one process writes there."""

import fcntl
import os

from rnnkit.errors import CheckpointError, ResourceError
from rnnkit.support.paths import AnyPath, as_path

LOCK = "lock"


def locked(path: AnyPath) -> int:
    """Lock a run's folder for this process, for as long as the descriptor is open."""
    path = as_path(path)
    try:
        descriptor = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise ResourceError(f"{path} cannot be written: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise CheckpointError(f"{path} is being written by another process; wait for it, or end it") from None
    return descriptor
