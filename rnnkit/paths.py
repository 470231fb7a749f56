"""Paths: whatever names a file is taken, as by `open`."""

import os
from pathlib import Path
from typing import TypeAlias

from rnnkit.errors import KindError, UsageError

AnyPath: TypeAlias = str | os.PathLike[str]
"""A path as a string, a `pathlib.Path` or anything else that has `__fspath__`."""


def as_path(path: AnyPath) -> Path:
    """Return it as a `Path`.

    Raises:
        KindError: it is no path. UsageError: it is empty.
    """
    try:
        text = os.fspath(path)
    except TypeError:
        text = None
    if not isinstance(text, str):
        raise KindError(f"the path is {path!r}; it must be a string or a Path")
    if not text:
        raise UsageError("the path is empty; name a file or folder")
    return path if isinstance(path, Path) else Path(text)
