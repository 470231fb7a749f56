"""The contestants: what is timed, each a module of the same sizes."""

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

import torch
from torch import nn

from rnnkit.benchmark.sizes import Size
from rnnkit.choice import CellChoice, CellLike, choose
from rnnkit.errors import UsageError, nearest
from rnnkit.layer import RNN
from rnnkit.unroll import Unroller

Build = Callable[[Size], nn.Module]

TORCH: dict[str, type[nn.Module]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
"""torch's module for the cells that it has; the others are measured by nn.LSTM."""

TORCHRECURRENT = {"lstm": "LSTM", "gru": "GRU", "peephole": "PeepholeLSTM"}

RIVALS = ("torch", "loop", "compile", "torchrecurrent")


def ours(cell: CellLike, unroller: str | Unroller) -> Build:
    """Give rnnkit's layer of a cell."""
    return lambda size: RNN(cell, size.input_size, size.hidden_size, unroller=unroller)


def rival(name: str, cell: CellLike) -> tuple[str, Build]:
    """Give what a name of `RIVALS` stands for, for a cell: its label and how it is built.

    "torch": torch's own module of the cell, or nn.LSTM; "loop": the same cell through `loop`; "compile": that in
    `torch.compile`, which compiles anew for each T; "torchrecurrent": that package's layer, if it is installed.

    Raises:
        UsageError: no such rival, or it lacks the cell, or is not installed.
    """
    choice = choose(cell)
    if name == "torch":
        kind = TORCH.get(choice.kind.name, nn.LSTM)
        return f"nn.{kind.__name__}", _sized(kind, _shared(choice, kind))
    if name == "loop":
        return "loop", ours(cell, "loop")
    if name == "compile":
        return "torch.compile of loop", lambda size: torch.compile(ours(cell, "loop")(size))  # type: ignore[return-value]
    if name == "torchrecurrent":
        return f"torchrecurrent.{_torchrecurrent(choice).__name__}", _sized(_torchrecurrent(choice), {})
    raise UsageError(
        f"nothing called {name!r} to measure against{nearest(name, RIVALS)}; there are {', '.join(RIVALS)}"
    )


def _sized(kind: Any, options: dict[str, Any]) -> Build:
    return lambda size: kind(size.input_size, size.hidden_size, **options)


def _shared(choice: CellChoice, kind: type[nn.Module]) -> dict[str, Any]:
    """Give the options of a cell that torch's module has, too."""
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


def flops(module: nn.Module, size: Size, training: bool) -> int:
    """Count the operations of the matrix products: 2 for each weight, row and step; thrice that with gradients."""
    weights: Iterable[int] = (p.numel() for p in module.parameters() if p.ndim == 2)
    return 2 * sum(weights) * size.batch * size.steps * (3 if training else 1)
