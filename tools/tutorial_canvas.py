"""What the tutorials' pictures are drawn from and on: a page's variables, what was measured, axes, the SVG."""

import json
import re
import sys
import tempfile
from collections.abc import Callable
from contextlib import chdir, redirect_stdout
from functools import cache
from html import escape
from io import StringIO
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch

from rnnkit.support.figures import COLOURS, black_on_nothing, svg_of

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "assets" / "tutorials"
BLUE, ORANGE, GREEN, PINK, OCHRE, GREY = COLOURS
WIDTH = 5.2
"""Inches: on a telephone's screen the letters are still to be read."""
MANY = (*COLOURS[:5], "#56b4e9", "#8f5fd7")
"""Of dots, for seven kinds of them."""
FENCE = re.compile(r"^```(?:\{\.)?python[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SNIPPET = re.compile(r'^--8<-- "(.+)"$', re.MULTILINE)

Figure = Any
Picture = Callable[[], tuple[Figure, str]]
"""It returns a figure and what a reader hears who does not see it."""


@cache
def page(name: str) -> dict[str, Any]:
    """Return the variables of a page after its blocks of Python, run in one go with one thread."""
    sys.path.append(str(ROOT / "docs" / "examples" / "rnnkit-mgu"))
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    torch.set_num_threads(1)  # the same bits again
    namespace: dict[str, Any] = {"__name__": "__main__"}
    try:
        with tempfile.TemporaryDirectory() as folder, chdir(folder), redirect_stdout(StringIO()):
            for block in FENCE.findall((ROOT / "docs" / name).read_text(encoding="utf-8")):
                code = SNIPPET.sub(lambda line: (ROOT / "docs" / line[1]).read_text(encoding="utf-8"), block)
                exec(code, namespace)
    finally:
        torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)
    return namespace


@cache
def measured(name: str) -> Any:
    """Return what tools/tutorial_measurements.py has written."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def panels(rows: int = 1, height: float = 3.3, **options: Any) -> tuple[Figure, Any]:
    """Return a new figure, and its axes one below the other."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots(rows, 1, **options)
    for one in np.atleast_1d(axes):
        one.grid(alpha=0.3)
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes


def legend_above(axes: Any, columns: int = 2) -> None:
    """Put the legend above the axes, where it hides nothing."""
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=columns, frameon=False, borderaxespad=0.2)


def draw(picture: Picture) -> Path:
    """Draw a picture, write it, and return where."""
    name = picture.__name__.replace("_", "-")
    with black_on_nothing():
        matplotlib.rcParams.update({"font.size": 10, "axes.titlesize": 10, "legend.fontsize": 9, "path.simplify": True})
        figure, title = picture()
        svg = svg_of(figure, title)
    width = f"{72 * figure.get_size_inches()[0]:g}pt"
    about = f'aria-label="{escape(title)}" style="width:100%;max-width:{width}"'
    svg = svg.replace('role="img"', f'role="img" {about}', 1)
    # One page shows several pictures, and an id is there once.
    ids = {old: f"{name}-{k}" for k, old in enumerate(dict.fromkeys(re.findall(r'\bid="([^"]+)"', svg)))}
    svg = re.sub(r'(\bid="|xlink:href="#|url\(#)(\w+)', lambda link: link[1] + ids[link[2]], svg)
    svg = re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", svg)  # a hundredth of a point is enough
    path = FOLDER / f"{name}.svg"
    path.write_text(svg, encoding="utf-8")
    return path
