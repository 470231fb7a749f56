"""The shortcut of calls with gradients, and of long ones without: each cell bound to its unroller."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Optional

from torch import Tensor

from rnnkit.core.bound import Bound
from rnnkit.core.cell import Cell, State, begins_with_zeros
from rnnkit.core.input_checks import checked_start
from rnnkit.layers.shortcut import Shortcut, each_cell, is_of_rows, is_plain, is_simple

if TYPE_CHECKING:
    from rnnkit.layers.rnn import RNN
    from rnnkit.layers.state_layout import States


class BoundShortcut(Shortcut):
    """Calls with inputs of any number of steps and rows; see `Shortcut`."""

    def __init__(self, layer: "RNN", input: Tensor, cells: Sequence[Cell], bounds: Sequence[Bound]) -> None:
        super().__init__(layer, input, cells, bounds)
        self._bounds, self._layout = bounds, layer.layout
        self._states = range(len(cells[0].state_names))
        self._begins_with_zeros = all(map(begins_with_zeros, cells))
        self._zeros: tuple[int, list[State]] = (0, [])
        """Rows, and for each cell what so many begin with."""

    @classmethod
    def find(cls, layer: "RNN", input: Tensor) -> Optional["BoundShortcut"]:
        """Return the shortcut for calls with such inputs, which a layer has taken before; None: there is none."""
        if not is_simple(layer) or not is_of_rows(input):
            return None
        found = each_cell(layer, layer.unroller.bound)
        return None if found is None else cls(layer, input, *found)

    def fits(self, input: Tensor, hx: Any) -> bool:
        """Tell whether this is what an input of the right form and its states are like."""
        if not (self._is_plain(input) and input.numel()):
            return False
        states = (hx,) if isinstance(hx, Tensor) else hx
        if states is None:
            return True
        rows = input.shape[0 if self.batch_first else 1]
        return (
            isinstance(states, tuple)
            and len(states) == len(self._states)
            and all(type(state) is Tensor and self._is_plain(state) for state in states)
            and all(state.shape == self._layout.shape_of(k, rows) for k, state in enumerate(states))
        )

    def run(self, input: Tensor, hx: Any) -> "tuple[Tensor, States] | None":
        """Return what the layer would; None if it is to go the long way."""
        xs = input.transpose(0, 1) if self.batch_first else input
        before = self._initial(xs) if hx is None else self._layout.split(hx, _as_it_is)
        last: list[State] = []
        for bound, state in zip(self._bounds, before, strict=True):
            assert state is not None
            found = bound(xs, state)
            if found is None:  # so says the first cell or none: the states of all lie alike
                return None
            xs, after = found
            last.append(after)
        return xs.transpose(0, 1) if self.batch_first else xs, self._layout.join(last)

    def _initial(self, xs: Tensor) -> Sequence[State]:
        """Return what the cells begin with."""
        rows = xs.shape[1]
        if not self._begins_with_zeros:
            return [checked_start(cell, rows, xs) for cell in self.cells]
        known, zeros = self._zeros
        if known != rows:
            zeros = [checked_start(cell, rows, xs) for cell in self.cells]
            self._zeros = (rows, zeros)
        return zeros

    def _is_plain(self, tensor: Tensor) -> bool:
        return is_plain(tensor, self.dtype)


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor
