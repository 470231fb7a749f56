"""The shortcut: a layer's calls of few steps without gradients, all that can be checked and prepared being so already.

A call of one step takes some microseconds of arithmetic, and ten times that to look at input, states, parameters, cell
and modes. What was found for one call holds for the next of the same form while nothing has changed, and that is quick
to tell.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from math import prod
from operator import is_
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from rnnkit.core.advancer import Advancer
from rnnkit.core.cell import Cell, State, begins_with_zeros, starting_state
from rnnkit.core.input_checks import casts_automatically
from rnnkit.core.watching import watched_by

if TYPE_CHECKING:
    from rnnkit.layers.rnn import RNN
    from rnnkit.layers.state_layout import States

MOST_ROWS = 64
"""Rows of all steps together; beyond, what a call costs beside its arithmetic is nothing."""

MOST_FORMS = 8
"""Forms of input for which shortcuts are kept."""

PATIENCE = 1024
"""Calls, at most, that go the long way before a shortcut is looked for again where none held."""


class Shortcut:
    """Calls of a layer with inputs of one shape.

    Args:
        layer: one direction, all layers alike, without residual connections.
        input: (T, B, D), or (B, T, D) with `batch_first`.
        cells: those of the layer.
        advancers: one for each.
    """

    def __init__(self, layer: "RNN", input: Tensor, cells: Sequence[Cell], advancers: Sequence[Advancer]) -> None:
        self._shape, self._dtype, self._batch_first = input.shape, input.dtype, layer.batch_first
        self._settings, self._tables = _settings(layer), _tables(layer)
        self._held = [*_values(self._tables)]
        self._cells, self._advancers = cells, advancers
        steps, self._rows = _size(layer, input)
        self._outputs = [input.new_empty(steps, self._rows, cell.output_size) for cell in cells]
        states = range(len(cells[0].state_names))
        self._states = [input.new_empty(layer.layout.shape_of(k, self._rows)) for k in states]
        self._zeros: list[State] | None = None
        if all(begins_with_zeros(cell) for cell in cells):
            self._zeros = [self._initial(cell) for cell in cells]

    def fits(self, input: Tensor, hx: Any) -> bool:
        """Tell whether this is what an input of the right shape and its states are like."""
        return self._is_plain(input) and (
            hx is None
            or (isinstance(hx, tuple) and len(hx) == len(self._states) and all(map(self._is_state, hx, self._states)))
            or (len(self._states) == 1 and self._is_state(hx, self._states[0]))
        )

    def holds(self, layer: "RNN") -> bool:
        """Tell whether layer and cells are as they were."""
        return (
            _settings(layer) == self._settings
            and all(map(is_, _tables(layer), self._tables))
            and sum(map(len, self._tables)) == len(self._held)
            and all(map(is_, _values(self._tables), self._held))
            and all(advancer.holds() for advancer in self._advancers)
        )

    def run(self, input: Tensor, hx: Any) -> "tuple[Tensor, States] | None":
        """Return what the layer would; None if a tensor is none that may be touched so."""
        given = (hx,) if isinstance(hx, Tensor) else hx
        after = [*map(torch.empty_like, self._states)]
        xs = input.transpose(0, 1) if self._batch_first else input
        for k, (advancer, like) in enumerate(zip(self._advancers, self._outputs, strict=True)):
            ys = torch.empty_like(like)
            if not advancer(xs, self._before(k, given), ys, self._of_layer(k, after)):
                return None
            xs = ys
        return xs.transpose(0, 1) if self._batch_first else xs, after[0] if len(after) == 1 else tuple(after)

    def _is_state(self, tensor: Any, like: Tensor) -> bool:
        return type(tensor) is Tensor and tensor.shape == like.shape and self._is_plain(tensor)

    def _is_plain(self, tensor: Tensor) -> bool:
        return tensor.dtype is self._dtype and tensor.is_cpu and tensor.is_contiguous()

    def _initial(self, cell: Cell) -> State:
        return tuple(tensor.detach().contiguous() for tensor in starting_state(cell, self._rows))

    def _before(self, k: int, hx: Sequence[Tensor] | None) -> Sequence[Tensor]:
        """Return the state of a layer before the first step."""
        if hx is not None:
            return self._of_layer(k, hx)
        return self._initial(self._cells[k]) if self._zeros is None else self._zeros[k]

    def _of_layer(self, k: int, states: Sequence[Tensor]) -> Sequence[Tensor]:
        return states if len(self._cells) == 1 else [state[k] for state in states]


class Shortcuts:
    """The shortcuts that a layer has found; a copy of the layer, or one that is read from a file, begins with none."""

    def __init__(self) -> None:
        self._known: dict[torch.Size, Shortcut | None] = {}
        self._waits = self._failures = 0

    def __reduce__(self) -> tuple[type["Shortcuts"], tuple[()]]:
        return Shortcuts, ()

    def run(self, layer: "RNN", input: Any, hx: Any) -> "tuple[Tensor, States] | None":
        """Return what a layer would without gradients, lengths and resets; None: it is to go the long way."""
        if type(input) is not Tensor or watched_by() or casts_automatically(input.device):
            return None
        shape = input.shape
        shortcut = self._known.get(shape)
        if shortcut is None:
            self._look_for(layer, input)
            return None
        if not shortcut.fits(input, hx):
            return None
        if not shortcut.holds(layer):
            self._forget(shape)
            return None
        self._failures = 0
        return shortcut.run(input, hx)

    def _forget(self, shape: torch.Size) -> None:
        """Forget what holds no more, and wait the longer the more often that happens."""
        self._known.pop(shape, None)
        self._failures += 1
        self._waits = min(PATIENCE, 2**self._failures)

    def _look_for(self, layer: "RNN", input: Tensor) -> None:
        """Look for the shortcut of calls like this one, from the second of them on."""
        if self._waits:
            self._waits -= 1
        elif input.shape not in self._known:
            if len(self._known) >= MOST_FORMS:
                self._known.clear()
            self._known[input.shape] = None
        else:
            found = self._known[input.shape] = find(layer, input)
            self._waits = 0 if found else PATIENCE


def find(layer: "RNN", input: Tensor) -> Shortcut | None:
    """Return the shortcut for calls with inputs of this form, which a layer has taken before; None: there is none."""
    if not is_simple(layer) or input.ndim != 3 or prod(input.shape[:2]) > MOST_ROWS:
        return None
    cells, advancers = [], []
    for position in range(layer.num_layers):
        cell = layer.standing(position)
        advancer = None if cell is None else layer.unroller.advancer(cell, *_size(layer, input))
        if cell is None or advancer is None:
            return None
        cells.append(cell)
        advancers.append(advancer)
    return Shortcut(layer, input, cells, advancers)


def is_simple(layer: "RNN") -> bool:
    """Tell whether each layer's output as it is goes on to the next, and the states are of one form."""
    dropped = layer.dropout and layer.training and layer.num_layers > 1
    return not (layer.bidirectional or layer.residual or dropped or layer.layout.by_layer)


def _size(layer: "RNN", input: Tensor) -> tuple[int, int]:
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
