"""The picture of labels: a confusion matrix where the truth is known, else how often each label is given."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnkit.errors import UsageError
from rnnkit.support.figures import COLOURS, visible

Places = NDArray[np.int64]

MOST = 16
"""Labels that are drawn, those that most rows have."""

STRONGEST = 0.65
"""Opacity of a cell that holds all rows of a label, so that its number can be read on it, on light pages and dark."""

LONGEST = 18
"""Characters of a label."""

CELL, MARGIN = 0.52, 1.9
"""Inches: of a cell, and around all of them."""


def counts(labels: int, given: Places, actual: Places) -> Places:
    """Return how many rows of each true label were given each label: (K, K); rows without a truth are left out."""
    known = actual >= 0
    found = np.bincount(actual[known] * labels + given[known], minlength=labels * labels)
    return found.reshape(labels, labels).astype(np.int64)


def shares_right(matrix: Places) -> NDArray[np.float64]:
    """Return the share of the rows of each label that are right (K,); 0 of a label without any."""
    return np.asarray(matrix.diagonal() / np.maximum(matrix.sum(1), 1))


def draw(labels: Sequence[str], given: Places, actual: Places, rows_are: str) -> Any:
    """Return a figure of matplotlib.

    Args:
        labels: K names.
        given: (N,) the place of the label that each row was given.
        actual: (N,) that of the true one; -1 where it is not known.
        rows_are: what has a label: "sequences", for instance.

    Raises:
        UsageError: there is no matplotlib.
    """
    if find_spec("matplotlib") is None:
        raise UsageError("the picture of labels needs matplotlib; pip install 'rnnkit[plot]'")
    matrix = counts(len(labels), given, actual)
    if not matrix.any():
        return _bars(labels, np.bincount(given, minlength=len(labels)), rows_are)
    shown = np.sort(np.argsort(-matrix.sum(1) - matrix.sum(0), kind="stable")[:MOST])
    return _matrix([labels[place] for place in shown.tolist()], matrix[np.ix_(shown, shown)], matrix, rows_are)


def _matrix(labels: Sequence[str], part: Places, whole: Places, rows_are: str) -> Any:
    """Draw the rows and columns of some labels, each cell as dark as its share of the row's label in the whole."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    size = max(3.0, MARGIN + CELL * len(labels))
    figure = Figure(figsize=(size + 0.4, size), layout="constrained")
    axes = figure.subplots()
    shares = part / np.maximum(part.sum(1, keepdims=True), 1)
    for (row, column), count in np.ndenumerate(part):
        alpha = STRONGEST * float(shares[row, column])
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=COLOURS[0], alpha=alpha, linewidth=0))
        if count:
            axes.text(column, row, f"{count}", ha="center", va="center", fontsize="small")
    axes.set(xlim=(-0.5, len(labels) - 0.5), ylim=(len(labels) - 0.5, -0.5), aspect="equal")
    places = range(len(labels))
    names = [_short(label) for label in labels]
    axes.set_xticks(places, names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, names)
    axes.set_xticks([place - 0.5 for place in places], minor=True)
    axes.set_yticks([place - 0.5 for place in places], minor=True)
    axes.grid(which="minor", alpha=0.3, linewidth=0.6)
    axes.tick_params(which="both", length=0)
    axes.set(xlabel="label given", ylabel="true label")
    title = f"{whole.trace()} of {whole.sum()} {rows_are} right"
    if len(labels) < len(whole):
        title += f"\nthe {len(labels)} most frequent of {len(whole)} labels"
    axes.set_title(title, fontsize="medium")
    return figure


def _bars(labels: Sequence[str], often: Places, rows_are: str) -> Any:
    """Draw how often each label is given."""
    from matplotlib.figure import Figure

    shown = np.argsort(-often, kind="stable")[:MOST].tolist()
    figure = Figure(figsize=(5.4, 1.2 + 0.32 * len(shown)), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(range(len(shown)), [int(often[place]) for place in shown], color=COLOURS[0])
    axes.bar_label(bars, padding=3, fontsize="small")
    axes.set_yticks(range(len(shown)), [_short(labels[place]) for place in shown])
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel(f"{rows_are} that are given the label")
    if len(shown) < len(labels):
        axes.set_title(f"the {len(shown)} most frequent of {len(labels)} labels", fontsize="medium")
    return figure


def _short(label: str) -> str:
    plain = " ".join(label.split())
    return visible(plain if len(plain) <= LONGEST else f"{plain[: LONGEST - 1]}…").replace("\u2423", " ")
