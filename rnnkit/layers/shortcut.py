"""The shortcut: calls of a layer, all that can be checked and prepared being so already.

To look at input, states, parameters, cell and modes takes some dozens of microseconds, as long as the arithmetic of a
small layer or of a single step. What was found for one call holds for the next of the same form while nothing has
changed, and that is quick to tell.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import chain
from operator import is_
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import torch
from torch import Tensor

from rnnkit.core.cell import Cell

if TYPE_CHECKING:
    from rnnkit.layers.rnn import RNN
    from rnnkit.layers.state_layout import States


class _Holding(Protocol):
    def holds(self) -> bool:
        """Tell whether the cell still is what this was made for."""


Running = TypeVar("Running", bound=_Holding)


class WhileUnchanged(ABC):
    """What was found for a layer, and holds while that is as it was: the base of shortcuts and of bound cells.

    Args:
        layer: the layer.
        of_cells: what runs each cell.
    """

    def __init__(self, layer: "RNN", of_cells: Sequence[_Holding]) -> None:
        self._settings, self._tables, self._of_cells = _settings(layer), _tables(layer), of_cells
        self._held = [*_values(self._tables)]

    @staticmethod
    def form(input: Tensor) -> Hashable:
        """Return what the calls have in common that one serves; here it serves any number of steps and rows."""
        return input.ndim, input.shape[-1], input.dtype

    @abstractmethod
    def fits(self, input: Tensor, hx: Any) -> bool:
        """Tell whether this is what an input of the right form and its states are like."""

    def holds(self, layer: "RNN") -> bool:
        """Tell whether layer and cells are as they were."""
        return (
            _settings(layer) == self._settings
            and all(map(is_, _tables(layer), self._tables))
            and sum(map(len, self._tables)) == len(self._held)
            and all(map(is_, _values(self._tables), self._held))
            and all(one.holds() for one in self._of_cells)
        )


class Shortcut(WhileUnchanged):
    """Calls of a layer with inputs of one form.

    Args:
        layer: one direction, all layers alike, without residual connections.
        input: (T, B, D), or (B, T, D) with `batch_first`.
        cells: those of the layer.
        of_cells: what runs each.
    """

    def __init__(self, layer: "RNN", input: Tensor, cells: Sequence[Cell], of_cells: Sequence[_Holding]) -> None:
        super().__init__(layer, of_cells)
        self.dtype, self.batch_first, self.cells = input.dtype, layer.batch_first, cells

    @abstractmethod
    def run(self, input: Tensor, hx: Any) -> "tuple[Tensor, States] | None":
        """Return what the layer would; None if a tensor is none that may be touched so."""


def each_cell(layer: "RNN", ask: Callable[[Cell], Running | None]) -> tuple[list[Cell], list[Running]] | None:
    """Return a layer's cells, and what runs each, as `ask` answers; None: a weight is computed, or nothing runs one."""
    cells, running = [], []
    for position in range(layer.num_layers * layer.directions):
        cell = layer.standing(position)
        runs = None if cell is None else ask(cell)
        if cell is None or runs is None:
            return None
        cells.append(cell)
        running.append(runs)
    return cells, running


def is_simple(layer: "RNN") -> bool:
    """Tell whether each layer's output as it is goes on to the next, and the states are of one form."""
    return hands_on_outputs(layer) and not layer.layout.by_layer


def hands_on_outputs(layer: "RNN") -> bool:
    """Tell whether each layer's output as it is goes on to the next."""
    dropped = layer.dropout and layer.training and layer.num_layers > 1
    return not (layer.bidirectional or layer.residual or dropped)


def is_of_rows(input: Tensor) -> bool:
    """Tell whether an input has steps and rows of real numbers: what was found for real ones does not hold else."""
    return input.ndim == 3 and input.is_floating_point()


def is_plain(tensor: Tensor, dtype: torch.dtype) -> bool:
    """Tell whether a tensor has its numbers in the memory of the CPU, and may be saved for a gradient."""
    is_here = tensor.dtype is dtype and tensor.is_cpu and tensor.layout is torch.strided
    return is_here and not tensor.is_inference()


def size(layer: "RNN", input: Tensor) -> tuple[int, int]:
    """Return the steps and rows of an input."""
    first, second = input.shape[:2]
    return (second, first) if layer.batch_first else (first, second)


def _settings(layer: "RNN") -> tuple[Any, ...]:
    """Return what a layer goes by that a user may set at any time."""
    return layer._unroller, layer.training, layer.batch_first, layer.dropout, layer.residual, layer.num_layers


def _tables(layer: "RNN") -> tuple[dict[str, Any], ...]:
    return layer._parameters, layer._buffers, layer._modules


def _values(tables: Iterable[dict[str, Any]]) -> Iterator[Any]:
    return chain.from_iterable(table.values() for table in tables)
