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
from rnnkit.support.own_files import check_not_own
from rnnkit.support.paths import AnyPath, as_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg")

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#a07d00", "#7f7f7f")
"""Of lines and areas: people who see few colours tell them apart, on white as on dark grey. The first four are Okabe &
Ito's, "Color Universal Design", 2008."""
DASHES = ("-", "--", ":", "-.")
"""Of lines, for more of them than there are colours."""
SIZE = (5.4, 3.5)
"""Width and height of a picture, in inches."""
CHARACTERS = 10
"""Of a legend on an inch."""


def check_plot(path: AnyPath) -> None:
    """Raise UsageError if a picture cannot be drawn there: before an hour is measured."""
    path = as_path(path)
    _check_ending(path, f"--plot {path}")
    check_not_own(path, "--plot")
    if not path.parent.is_dir():
        raise UsageError(f"--plot {path}: there is no folder {path.parent}")
    if find_spec("matplotlib") is None:
        raise UsageError("--plot needs matplotlib; pip install 'rnnkit[plot]'")


def _check_ending(path: Path, label: str) -> None:
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{label}: it must end in {' or '.join(FORMATS)}")


def save(figure: "Figure", path: AnyPath, alt: str = "") -> None:
    """Write a figure in the format that the file's name ends in.

    Args:
        figure: of matplotlib.
        path: of the file.
        alt: what the picture shows, for those who do not see it; it goes into the file.

    Raises:
        UsageError: its ending is none that there is. ResourceError: the file cannot be written.
    """
    path = as_path(path)
    _check_ending(path, str(path))
    try:
        figure.savefig(path, metadata={"Description": alt} if alt else None)
    except OSError as error:
        raise ResourceError(f"{path} cannot be written: {error.strerror}") from None


def line_style(which: int) -> dict[str, Any]:
    """Return colour and dashes of a line: no two of the first 24 are alike."""
    return {"color": COLOURS[which % len(COLOURS)], "linestyle": DASHES[which // len(COLOURS) % len(DASHES)]}


SEEN = {" ": "\u2423", "\n": "\u21b5", "\t": "\u21e5", "$": r"\$"}
"""How a character is drawn that shows nothing, or means something, by itself."""


def visible(text: str) -> str:
    """Return a text as it can be drawn: blanks have signs, and a box stands for what the font lacks."""
    from matplotlib import font_manager

    font = font_manager.get_font(font_manager.findfont(font_manager.FontProperties()))
    known = (c if c.isprintable() and font.get_char_index(ord(c)) else "\u25a1" for c in text)
    return "".join(SEEN.get(c, sign) for c, sign in zip(text, known, strict=True))


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


def empty(axes: Any, words: str) -> None:
    """Say on axes without a curve why there is none."""
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", color=COLOURS[-1])


def _width(widths: list[int], columns: int) -> int:
    """Return how wide a legend of so many columns is; it is filled column by column, the first ones with one more."""
    rows, longer = divmod(len(widths), columns)
    starts = [column * rows + min(column, longer) for column in range(columns + 1)]
    return sum(max(widths[start:stop]) for start, stop in pairwise(starts))


@contextmanager
def black_on_nothing() -> Iterator[None]:
    """Let figures be made and saved for `svg_of` for a while: by matplotlib's defaults, not by the user's style."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams["legend.frameon"] = False
        yield


def png_of(figure: "Figure") -> bytes:
    """Return a figure as a picture of pixels, on white."""
    written = BytesIO()
    figure.savefig(written, format="png", dpi=150, metadata={"Software": None})
    return written.getvalue()


def svg_of(figure: "Figure", alt: str) -> str:
    """Return a figure as SVG to stand inside a page of HTML, in the colours of the page; nothing is fetched for it.

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
    # Its style would be that of the whole page, and its groups have the same names in every picture.
    for unwanted in (r"<metadata>.*?</metadata>", r"<style[^>]*>.*?</style>", r"<!--.*?-->", r'(?<=<g) id="[^"]*"'):
        rest = re.sub(unwanted, "", rest, flags=re.DOTALL)
    rest = re.sub(r"#000000\b", "currentColor", rest)
    rest = re.sub(r"\n\s*\n+", "\n", rest)  # an empty line would end it within markdown
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    strokes = 'stroke-linejoin="round" stroke-linecap="butt"'
    return f'<svg {names} {view[0]} role="img" fill="currentColor" {strokes}{end}<title>{escape(alt)}</title>{rest}'
