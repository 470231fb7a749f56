"""Pictures: where one may be drawn, and how it is saved."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rnnkit.errors import ResourceError, UsageError
from rnnkit.support.paths import AnyPath, as_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg")


def check_plot(path: AnyPath) -> None:
    """Raise UsageError if a picture cannot be drawn there: before an hour is measured."""
    path = as_path(path)
    _check_ending(path, f"--plot {path}")
    if not path.parent.is_dir():
        raise UsageError(f"--plot {path}: there is no folder {path.parent}")
    if find_spec("matplotlib") is None:
        raise UsageError("--plot needs matplotlib; pip install 'rnnkit[plot]'")


def _check_ending(path: Path, label: str) -> None:
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{label}: it must end in {' or '.join(FORMATS)}")


def save(figure: "Figure", path: AnyPath) -> None:
    """Write a figure in the format that the file's name ends in.

    Raises:
        UsageError: its ending is none that there is. ResourceError: the file cannot be written.
    """
    path = as_path(path)
    _check_ending(path, str(path))
    try:
        figure.savefig(path)
    except OSError as error:
        raise ResourceError(f"{path} cannot be written: {error.strerror}") from None
