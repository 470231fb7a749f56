"""Pictures: where one may be drawn, in which colours, and how it is saved."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from importlib.util import find_spec
from io import BytesIO, StringIO
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnkit.errors import ResourceError, UsageError
from rnnkit.support.paths import AnyPath, as_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg")

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#a07d00", "#7f7f7f")
"""Of lines and areas: people who see few colours tell them apart, on white as on dark grey. The first four are Okabe &
Ito's, "Color Universal Design", 2008."""
DASHES = ("-", "--", ":", "-.")
"""Of lines, for more of them than there are colours."""
SIZE = (6.4, 3.8)
"""Width and height of a picture, in inches."""
CHARACTERS = 10
"""Of a legend on an inch."""


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


def line_style(which: int) -> dict[str, Any]:
    """Return colour and dashes of a line: no two of the first 24 are alike."""
    return {"color": COLOURS[which % len(COLOURS)], "linestyle": DASHES[which // len(COLOURS) % len(DASHES)]}


def new_axes(label: str, height: float = SIZE[1]) -> Any:
    """Return the axes of a new figure, which no window shows: a matplotlib `Axes`; `height` in inches.

    Raises:
        UsageError: there is no matplotlib; `label` says what needs it.
    """
    if find_spec("matplotlib") is None:
        raise UsageError(f"{label} needs matplotlib; pip install 'rnnkit[plot]'")
    from matplotlib.figure import Figure

    return Figure(figsize=(SIZE[0], height), layout="constrained").subplots()


def legend_below(axes: Any) -> None:
    """Put the legend below the axes, where it hides nothing, in as many columns as there is room for."""
    widths = [len(label) + 6 for label in axes.get_legend_handles_labels()[1]]
    room = axes.figure.get_size_inches()[0] * CHARACTERS
    columns = next((n for n in range(len(widths), 1, -1) if _width(widths, n) <= room), 1)
    place = (0.5, -0.62 / axes.figure.get_size_inches()[1])
    axes.legend(loc="upper center", bbox_to_anchor=place, ncols=columns, frameon=False)


def _width(widths: list[int], columns: int) -> int:
    """Return how wide a legend of so many columns is; it is filled column by column, the first ones with one more."""
    rows, longer = divmod(len(widths), columns)
    starts = [column * rows + min(column, longer) for column in range(columns + 1)]
    return sum(max(widths[start:stop]) for start, stop in pairwise(starts))


@contextmanager
def black_on_nothing() -> Iterator[None]:
    """Let figures be made and saved for `svg_of` for a while: by matplotlib's defaults, not by the user's style."""
    import matplotlib

    ours: Any = {"svg.fonttype": "none", "svg.hashsalt": "rnnkit", "legend.frameon": False}
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(ours)
        yield


def svg_of(figure: "Figure", title: str) -> str:
    """Return a figure as SVG to be put into a page: no background, no reference to anything outside.

    What is black, text and axes as a rule, takes the colour of the text around it (`currentColor`). Text stays text.

    Args:
        figure: what is drawn, made under `black_on_nothing`.
        title: what a reader hears who does not see it.
    """
    written = StringIO()
    with black_on_nothing():
        figure.savefig(written, format="svg", transparent=True, metadata=dict.fromkeys(_METADATA))
    body = written.getvalue()
    view = re.search(r'viewBox="([^"]*)"', body)
    width = view[1].split()[2] if view else "480"
    body = body[body.index(">", body.index("<svg")) + 1 :]
    for unwanted in (r"<metadata>.*?</metadata>", r"<style[^>]*>.*?</style>", r"<!--.*?-->"):
        body = re.sub(unwanted, "", body, flags=re.DOTALL)
    body = re.sub(r'<g id="[^"]*"', "<g", body).replace("#000000", "currentColor")
    body = re.sub(r"\n\s*\n+", "\n", body)
    head = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" role="img" '
        f'aria-label="{escape(title)}" viewBox="{view[1] if view else ""}" style="width:100%;max-width:{width}pt" '
        'fill="currentColor" stroke-linejoin="round" stroke-linecap="butt">'
    )
    return f"{head}\n<title>{escape(title)}</title>{body.rstrip()}\n"


def png_of(figure: "Figure") -> bytes:
    """Return a figure as a picture of pixels, on white."""
    written = BytesIO()
    figure.savefig(written, format="png", dpi=150, metadata={"Software": None})
    return written.getvalue()


_METADATA = ("Creator", "Date", "Format", "Type")
"""What matplotlib would write about itself: a date makes two pictures of the same thing differ."""
