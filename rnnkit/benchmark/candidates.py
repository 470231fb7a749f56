"""The candidates: what is timed, each a module of the same sizes."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import torch
from torch import nn

from rnnkit.benchmark.sizes import Size
from rnnkit.core.unroller import Unroller
from rnnkit.errors import UsageError, nearest
from rnnkit.layers.rnn import RNN
from rnnkit.plugin.cell_spec import CellChoice, CellLike, choose
from rnnkit.plugin.resolve import reference_unroller

Build = Callable[[Size], nn.Module]
"""Makes a module of a size. A partial of a function known by name, so that another process can be given it."""

TORCH: dict[str, type[nn.Module]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
"""torch's module for the cells that it has; the others are measured by nn.LSTM."""

TORCHRECURRENT = {"lstm": "LSTM", "gru": "GRU", "peephole": "PeepholeLSTM"}

RIVALS = ("torch", "loop", "compile", "torchrecurrent")
SAME_CELL = ("loop", "compile")
"""Rivals that do the same work as rnnkit's layer, operation for operation."""


def ours(cell: CellLike, unroller: str | Unroller) -> Build:
    """Return rnnkit's layer of a cell."""
    return partial(_layer, cell, unroller)


def rival(name: str, cell: CellLike) -> tuple[str, Build]:
    """Return what a name of `RIVALS` stands for, for a cell: its label and how it is built.

    "torch": torch's own module of the cell, or nn.LSTM; "loop": the same cell through `loop`; "compile": that in
    `torch.compile`, which compiles anew for each T; "torchrecurrent": that package's layer, if it is installed.

    Raises:
        UsageError: no such rival, or it lacks the cell, or is not installed.
    """
    choice = choose(cell)
    if name == "torch":
        kind = TORCH.get(choice.kind.name, nn.LSTM)
        return f"nn.{kind.__name__}", partial(_sized, kind, _shared(choice, kind))
    if name == "loop":
        return name, ours(cell, reference_unroller())
    if name == "compile":
        return "torch.compile of loop", partial(_compiled, cell)
    if name == "torchrecurrent":
        kind = _torchrecurrent(choice)
        return f"torchrecurrent.{kind.__name__}", partial(_sized, kind, {})
    raise UsageError(
        f"nothing called {name!r} to measure against{nearest(name, RIVALS)}; there are {', '.join(RIVALS)}"
    )


def _layer(cell: CellLike, unroller: str | Unroller, size: Size) -> RNN:
    return RNN(cell, size.input_size, size.hidden_size, unroller=unroller)


def _compiled(cell: CellLike, size: Size) -> nn.Module:
    return torch.compile(_layer(cell, reference_unroller(), size))  # type: ignore[return-value]


def _sized(kind: Any, options: dict[str, Any], size: Size) -> nn.Module:
    module: nn.Module = kind(size.input_size, size.hidden_size, **options)
    return module


def _shared(choice: CellChoice, kind: type[nn.Module]) -> dict[str, Any]:
    """Return the options of a cell that torch's module has, too."""
    known = {"bias", *(["proj_size"] if kind is nn.LSTM else []), *(["nonlinearity"] if kind is nn.RNN else [])}
    return {name: value for name, value in choice.options.items() if name in known}


def _torchrecurrent(choice: CellChoice) -> Any:
    if choice.kind.name not in TORCHRECURRENT:
        raise UsageError(
            f"torchrecurrent is known here for {', '.join(TORCHRECURRENT)}; cell {choice.kind.name!r} is not"
        )
    try:
        return getattr(import_module("torchrecurrent"), TORCHRECURRENT[choice.kind.name])
    except ImportError:
        raise UsageError("torchrecurrent is not installed; pip install torchrecurrent") from None
