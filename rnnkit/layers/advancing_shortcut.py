"""The shortcut of calls of few steps without gradients: kernels from tensors into tensors."""

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any, Optional

import torch
from torch import Tensor

from rnnkit.core.advancer import Advancer
from rnnkit.core.cell import Cell, State, begins_with_zeros, starting_state
from rnnkit.layers.shortcut import Shortcut, each_cell, is_of_rows, is_simple, size

if TYPE_CHECKING:
    from rnnkit.layers.rnn import RNN
    from rnnkit.layers.state_layout import States

MOST_ROWS = 64
"""Rows of all steps together; beyond, the room that is kept for the next call would be large."""


def is_of_few_rows(input: Tensor) -> bool:
    """Tell whether an input has so few rows that a call with it must cost next to nothing beside its arithmetic."""
    return prod(input.shape[:2]) <= MOST_ROWS


class AdvancingShortcut(Shortcut):
    """Calls with inputs of one shape; see `Shortcut`."""

    def __init__(self, layer: "RNN", input: Tensor, cells: Sequence[Cell], advancers: Sequence[Advancer]) -> None:
        super().__init__(layer, input, cells, advancers)
        self._advancers = advancers
        steps, self._rows = size(layer, input)
        self._outputs = [input.new_empty(steps, self._rows, cell.output_size) for cell in cells]
        states = range(len(cells[0].state_names))
        self._states = [input.new_empty(layer.layout.shape_of(k, self._rows)) for k in states]
        self._zeros: list[State] | None = None
        if all(begins_with_zeros(cell) for cell in cells):
            self._zeros = [self._initial(cell) for cell in cells]

    @staticmethod
    def form(input: Tensor) -> tuple[torch.Size, torch.dtype]:
        """Return what calls have in common that one shortcut serves."""
        return input.shape, input.dtype

    @classmethod
    def find(cls, layer: "RNN", input: Tensor) -> Optional["AdvancingShortcut"]:
        """Return the shortcut for calls with such inputs, which a layer has taken before; None: there is none."""
        if not is_simple(layer) or not is_of_rows(input):
            return None
        found = each_cell(layer, lambda cell: layer.unroller.advancer(cell, *size(layer, input)))
        return None if found is None else cls(layer, input, *found)

    def fits(self, input: Tensor, hx: Any) -> bool:
        """Tell whether this is what an input of the right shape and its states are like."""
        return self._is_plain(input) and (
            hx is None
            or (isinstance(hx, tuple) and len(hx) == len(self._states) and all(map(self._is_state, hx, self._states)))
            or (len(self._states) == 1 and self._is_state(hx, self._states[0]))
        )

    def run(self, input: Tensor, hx: Any) -> "tuple[Tensor, States] | None":
        """Return what the layer would; None if a tensor is none that may be touched so."""
        given = (hx,) if isinstance(hx, Tensor) else hx
        after = [*map(torch.empty_like, self._states)]
        xs = input.transpose(0, 1) if self.batch_first else input
        for k, (advancer, like) in enumerate(zip(self._advancers, self._outputs, strict=True)):
            ys = torch.empty_like(like)
            if not advancer(xs, self._before(k, given), ys, self._of_layer(k, after)):
                return None
            xs = ys
        return xs.transpose(0, 1) if self.batch_first else xs, after[0] if len(after) == 1 else tuple(after)

    def _is_state(self, tensor: Any, like: Tensor) -> bool:
        return type(tensor) is Tensor and tensor.shape == like.shape and self._is_plain(tensor)

    def _is_plain(self, tensor: Tensor) -> bool:
        return tensor.dtype is self.dtype and tensor.is_cpu and tensor.is_contiguous()

    def _initial(self, cell: Cell) -> State:
        return tuple(tensor.detach().contiguous() for tensor in starting_state(cell, self._rows))

    def _before(self, k: int, hx: Sequence[Tensor] | None) -> Sequence[Tensor]:
        """Return the state of a layer before the first step."""
        if hx is not None:
            return self._of_layer(k, hx)
        return self._initial(self.cells[k]) if self._zeros is None else self._zeros[k]

    def _of_layer(self, k: int, states: Sequence[Tensor]) -> Sequence[Tensor]:
        return states if len(self.cells) == 1 else [state[k] for state in states]
