"""What is a run's own in its folder: files that nothing else may be written over."""

import os
from pathlib import Path

from rnnkit.errors import UsageError
from rnnkit.support.paths import AnyPath, as_path

FILES = frozenset(
    [
        *("config.toml", "env.json", "data.json", "calibration.json", "loggers.json", "lock"),
        *("metrics.jsonl", "times.jsonl", "inspections.jsonl"),
    ]
)
FOLDERS = frozenset(["checkpoints", "data"])
SIGNS = ("config.toml", "lock")
"""Beside checkpoints, either tells that a folder is a run's, or a loop's of somebody's own."""


def check_not_own(path: AnyPath, label: str = "") -> None:
    """Raise UsageError where something is to be written over a file of a run's own, or into a folder of its own.

    Args:
        path: where something is to be written.
        label: what named it, such as an option; "": nothing did.
    """
    path = as_path(path)
    place = Path(os.path.realpath(path))
    for folder in place.parents:
        inside = place.relative_to(folder).parts
        if inside[0] not in FILES | FOLDERS or not _is_run(folder):
            continue
        given = f"{label} {path}".strip()
        if inside[0] in FOLDERS:
            kept = folder / inside[0]
            raise UsageError(f"{given} lies in {kept}, which is the run's own; name a file elsewhere")
        if len(inside) == 1:
            raise UsageError(f"{given} is the run's own {inside[0]}, which would be lost; name another file")


def _is_run(folder: Path) -> bool:
    return os.path.isdir(folder / "checkpoints") and any(os.path.isfile(folder / name) for name in SIGNS)
