"""What loggers are to find again when a run goes on: loggers.json in its folder."""

import json
from pathlib import Path
from typing import Any

from rnnkit.errors import CheckpointError
from rnnkit.support.atomic_files import write_file
from rnnkit.support.paths import AnyPath, as_path

LOGGERS = "loggers.json"


def kept_logger(folder: AnyPath, name: str) -> dict[str, Any]:
    """Return what a logger has kept in the folder of a run; empty: nothing.

    Raises:
        CheckpointError: the file is damaged.
    """
    kept: dict[str, Any] = _read(as_path(folder) / LOGGERS).get(name, {})
    return kept


def keep_logger(folder: AnyPath, name: str, values: dict[str, Any]) -> None:
    """Keep what a logger is to find again, beside what others keep.

    Raises:
        CheckpointError: the file that is there is damaged. ResourceError: the disk or folder takes no more.
    """
    path = as_path(folder) / LOGGERS
    write_file(path, json.dumps({**_read(path), name: values}, indent=2).encode() + b"\n")


def _read(path: Path) -> dict[str, dict[str, Any]]:
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); remove it, and loggers begin anew") from None
    if not isinstance(found, dict) or not all(isinstance(values, dict) for values in found.values()):
        raise CheckpointError(f"{path} is not what was written; remove it, and loggers begin anew")
    return found
