"""The report on a layer's unroller: which runs it, how, and why not one that `auto` would rather have taken."""

from collections.abc import Iterable
from typing import Any

from rnnkit.core.cell import Cell
from rnnkit.core.unroller import Unroller
from rnnkit.errors import one_line
from rnnkit.layers.rnn import RNN
from rnnkit.plugin.resolve import ranked

LINES = 2
"""Of an explanation: those that say what runs a cell, and why nothing better does."""


def passed_over(layer: RNN) -> dict[str, str]:
    """Name the unrollers of a higher rank than the layer's own, each with what it says of the first cell."""
    cell = layer.equipped(0)
    own = layer.unroller.rank(cell)
    if own is None:
        return {}
    above = [(rank, one) for rank, one in ranked([cell]) if rank > own]
    return {one.name: _head(one, cell) for _, one in above}


def running(layers: Iterable[RNN], asked: str) -> dict[str, Any]:
    """Tell what runs each layer, for the record of a run.

    Args:
        layers: of a model.
        asked: the unroller that was asked for; of "auto", those are named that it passed over.
    """
    told: dict[str, Any] = {"unroller": [], "runs": []}
    others: dict[str, str] = {}
    for layer in layers:
        told["unroller"].append(str(layer.unroller))
        told["runs"].append(_head(layer.unroller, layer.equipped(0)))
        others |= passed_over(layer) if asked == "auto" else {}
    return {**told, "passed over": others}


def _head(unroller: Unroller, cell: Cell) -> str:
    """Return the first lines of an explanation as one; it is somebody else's code, and must not end a run."""
    try:
        return "; ".join(unroller.explain(cell).splitlines()[:LINES])
    except Exception as error:
        return f"explain() failed: {one_line(error)}"
