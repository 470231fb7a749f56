"""Pictures: where one may be drawn, and how it is saved."""

import re
from html import escape
from importlib.util import find_spec
from io import StringIO
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


def svg_of(figure: "Figure", alt: str) -> str:
    """Return a figure as SVG to stand inside a page of HTML, in the colours of the page.

    Letters are text, the ground is transparent, and what is black takes the colour of the text around the picture.

    Args:
        figure: of matplotlib.
        alt: what the picture shows, for those who do not see it.
    """
    from matplotlib import rc_context

    sheet = StringIO()
    # The salt makes the names of its parts the same at every call, and others than those of another picture.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": alt}):
        figure.savefig(sheet, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = sheet.getvalue()
    text = text[text.index("<svg") :].strip()
    head, end, rest = text.partition(">")
    view = re.search(r'viewBox="[^"]*"', head)
    assert view is not None  # matplotlib writes one
    rest = re.sub(r"<metadata>.*?</metadata>", "", rest, flags=re.DOTALL)
    rest = re.sub(r"#000000\b", "currentColor", rest)
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<svg {names} {view[0]} role="img" fill="currentColor"{end}<title>{escape(alt)}</title>{rest}'
