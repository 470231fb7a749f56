"""Draw the pictures of the gallery by the commands that the page shows, and write the page.

    python tools/gallery.py                    ->  docs/assets/gallery/*.svg and docs/gallery.md; some minutes
    python tools/gallery.py --only flow,diff   ->  these pictures anew
    python tools/gallery.py --page             ->  the page alone

What shows no times is the same each time.
"""

import argparse
import os
import shlex
import sys
import tempfile
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path
from textwrap import wrap
from typing import Any

import matplotlib
from click.testing import CliRunner
from gallery_table import HOME, PICTURES, SECTIONS, Picture
from inline_svg import inlined

from rnnkit.cli import main as rnnkit
from rnnkit.errors import nearest
from rnnkit.support.figures import black_on_nothing, line_style, new_axes, svg_of

DOCS = Path(__file__).parents[1] / "docs"
FOLDER = DOCS / "assets" / "gallery"
PAGE = DOCS / "gallery.md"
EXAMPLES = DOCS / "examples"
PLACES = {"tanh RNN": 18, "LSTM, forget bias 1": 46, "Leaky": 80}
"""Steps back at which a line has its name."""

STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "rnnkit", "savefig.transparent": True, "legend.frameon": False}
"""Of the pictures that a command draws: as `rnnkit.support.figures.black_on_nothing` has it."""

COLUMNS, WIDE_COLUMNS = 74, 110
"""Of a command in a card."""

BEGIN, END = "<!-- begin gallery -->", "<!-- end gallery -->"


class Studio:
    """A folder in which commands are run, each once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.commands: set[str] = set()

    def draw(self, picture: Picture) -> str:
        """Return a picture as SVG for the page."""
        if picture is HOME:
            return home()
        if picture.python:
            result = executed(picture.python)["picture"]
            return inlined(result.svg(), picture.name, picture.alt)
        for command in picture.commands:
            if command not in self.commands:
                self.run(command)
                self.commands.add(command)
        return inlined((self.folder / picture.file).read_text(encoding="utf-8"), picture.name, picture.alt)

    def run(self, command: str) -> None:
        """Run one command of rnnkit's in the folder."""
        with chdir(self.folder), black_on_nothing(), matplotlib.rc_context(STYLE):
            done = CliRunner().invoke(rnnkit, shlex.split(command)[1:], prog_name="rnnkit")
        if done.exit_code:
            raise SystemExit(f"{command}\n{done.output}{done.exception or ''}")


def executed(code: str) -> dict[str, Any]:
    """Run Python as the page shows it; returns its names."""
    names: dict[str, Any] = {}
    sys.path.insert(0, str(EXAMPLES))
    try:
        exec(code, names)
    finally:
        sys.path.remove(str(EXAMPLES))
    return names


def home() -> str:
    """Return the picture of the home page: the gradient flows of three cells, each named where its line ends."""
    flows = executed(HOME.python)["flows"]
    with black_on_nothing():
        axes = new_axes("the home page", 3.55)
        for which, (name, flow) in enumerate(flows.items()):
            left = flow.total / flow.total[0]
            axes.plot(flow.lags, left, linewidth=2, **line_style(which))
            place = PLACES[name]
            axes.annotate(name, (place, left[place - 1]), (6, 4), textcoords="offset points", weight="bold")
        axes.set_yscale("log")
        axes.set_ylim(1e-9, 10)
        axes.set_xlim(1, 100)
        axes.set_xlabel("steps back")
        axes.set_title("What is left of the gradient", loc="left", fontsize="medium", weight="bold")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        return inlined(svg_of(axes.figure, HOME.alt), HOME.name, HOME.alt)


def page() -> str:
    """Return the page, with what stands between its marks written from the table."""
    text = PAGE.read_text(encoding="utf-8")
    parts = [f"## {title}\n\n{_grid(pictures)}" for title, pictures in SECTIONS.items()]
    block = "\n\n".join([BEGIN, *parts, END])
    return text[: text.index(BEGIN)] + block + text[text.index(END) + len(END) :]


def _grid(pictures: Sequence[Picture]) -> str:
    return "\n\n".join(['<div class="gallery" markdown="1">', *map(_card, pictures), "</div>"])


def _card(picture: Picture) -> str:
    """Return a picture with its caption, and how it is made."""
    columns, wide = (WIDE_COLUMNS, " wide") if picture.wide else (COLUMNS, "")
    lines = [folded(f"$ {command}", columns) for command in picture.commands]
    fence = ("console", "\n".join(lines)) if lines else ("python", picture.python.rstrip("\n"))
    return "\n\n".join(
        [
            f'<div class="card{wide}" markdown="1">',
            f"### {picture.title} {{ #{picture.name} }}",
            f'<div class="picture{wide}" markdown="0">\n--8<-- "assets/gallery/{picture.name}.svg"\n</div>',
            picture.caption,
            f"```{fence[0]}\n{fence[1]}\n```",
            "</div>",
        ]
    )


def folded(command: str, columns: int = COLUMNS) -> str:
    """Break a long command at its spaces, as a shell takes it."""
    return " \\\n    ".join(wrap(command, columns, break_long_words=False, break_on_hyphens=False))


def draw(names: Sequence[str]) -> None:
    """Draw pictures into their files."""
    with tempfile.TemporaryDirectory() as folder:
        studio = Studio(Path(folder))
        for name in names:
            svg = studio.draw(PICTURES[name])
            (FOLDER / f"{name}.svg").write_text(svg, encoding="utf-8")
            print(f"{name}: {len(svg) / 1024:.0f} KiB", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PICTURES), help=f"of {', '.join(PICTURES)}")
    parser.add_argument("--page", action="store_true", help="draw nothing")
    arguments = parser.parse_args()
    names = [] if arguments.page else arguments.only.split(",")
    for name in names:
        if name not in PICTURES:
            parser.error(f"no picture {name!r}{nearest(name, PICTURES)}; there are {', '.join(PICTURES)}")
    draw(names)
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    os.environ.setdefault("NO_COLOR", "1")
    main()
