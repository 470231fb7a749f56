"""Cells bound to their unroller one by one: for calls that no shortcut takes, with lengths, packed, or both ways."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Optional

from torch import Tensor

from rnnkit.core.bound import Bound
from rnnkit.core.cell import State
from rnnkit.core.unroller import prepare
from rnnkit.layers.shortcut import WhileUnchanged, each_cell, is_of_rows, is_plain

if TYPE_CHECKING:
    from rnnkit.layers.rnn import RNN


class BoundCells(WhileUnchanged):
    """Each cell of a layer, which is looked at once.

    Args:
        layer: the layer.
        xs: (T, B, D), what its first cell is given.
        bounds: of the cells.
    """

    def __init__(self, layer: "RNN", xs: Tensor, bounds: Sequence[Bound]) -> None:
        super().__init__(layer, bounds)
        self._dtype, self._bounds = xs.dtype, bounds

    @classmethod
    def find(cls, layer: "RNN", xs: Tensor) -> Optional["BoundCells"]:
        """Return it for calls with such inputs, which a layer has taken before; None: some cell runs in no kernel."""
        found = each_cell(layer, layer.unroller.bound) if is_of_rows(xs) else None
        return None if found is None else cls(layer, xs, found[1])

    def fits(self, xs: Tensor, states: Any) -> bool:
        """Tell whether this is what an input and the states (those of each cell, or None) are like."""
        tensors = [xs, *(tensor for state in states for tensor in state or ())]
        return bool(xs.numel()) and all(type(tensor) is Tensor and is_plain(tensor, self._dtype) for tensor in tensors)

    def unroll(
        self, layer: "RNN", position: int, xs: Tensor, state: State | None, masks: dict[str, Tensor | None]
    ) -> tuple[Tensor, State] | None:
        """Run one cell, as its unroller would; None: that is to do so itself."""
        return self._bounds[position].masked(prepare(layer._cells[position], xs, state, **masks))
