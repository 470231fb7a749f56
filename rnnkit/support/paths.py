"""Paths: whatever names a file is taken, as by `open`."""

import os
import re
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
    check_path("the path", path)
    return path if isinstance(path, Path) else Path(path)


def check_path(label: str, path: object) -> None:
    """Raise KindError unless `path` is a path, UsageError if it is an empty one."""
    try:
        text = os.fspath(path)  # type: ignore[call-overload]
    except TypeError:
        text = None
    if not isinstance(text, str):
        raise KindError(f"{label} is {path!r}; it must be a string or a Path")
    if not text:
        raise UsageError(f"{label} is empty; name a file or folder")


def file_word(text: str) -> str:
    """Return a text as a part of a file's name: what is no letter, digit, dot or dash in it becomes a dash."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-")


def free_path(path: AnyPath) -> Path:
    """Return `path`, or it with a number behind if a run began in the same second."""
    path = as_path(path)
    candidate, number = path, 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}-{number}")
    return candidate
