"""Which unroller a layer has: the one that it was given, or what "auto" takes for where its parameters are now."""

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor
from torch._compile import _disable_dynamo

from rnnkit.core.cell import Cell, parameters_of
from rnnkit.core.unroller import Unroller
from rnnkit.layers.parameter_owner import Owner
from rnnkit.plugin.resolve import reference_unroller, resolve_unroller, willing


class Choosing(Owner):
    """An owner of cells with an unroller for them, chosen anew when the parameters have moved."""

    _unroller: Unroller
    _chosen: Unroller | None = None
    """What "auto" took last; the unroller in use is its choice as long as it is this very one."""

    _chosen_for: tuple[torch.device | None, torch.dtype | None]

    @property
    def unroller(self) -> Unroller:
        """What runs the cells over time. May be set, to whatever the constructor takes."""
        self._choose_again()
        return self._unroller

    @unroller.setter
    def unroller(self, unroller: str | type[Unroller] | Unroller) -> None:
        if isinstance(unroller, str) and unroller == "auto":
            self._choose()
        else:  # what "auto" has chosen and is put back, as after a trial of another, stays the choice of "auto"
            self._unroller = willing(resolve_unroller(unroller), *map(self.equipped, range(len(self._cells))))
        self._arrange()

    def _choose(self) -> None:
        """Let "auto" choose for the cells as they are now."""
        first = next(parameters_of(self), None)
        self._chosen_for = (None, None) if first is None else (first.device, first.dtype)
        self._unroller = self._chosen = resolve_unroller("auto", *map(self.equipped, range(len(self._cells))))

    def _choose_again(self) -> None:
        """Let "auto" choose anew if the parameters have moved since, or changed their dtype; asked at every call."""
        if self._unroller is not self._chosen:
            return
        first: Tensor | None = next(iter(self._parameters.values()), None)  # much faster than to look for one
        if first is None:
            first = next(parameters_of(self), None)
        if first is not None:
            device, dtype = self._chosen_for
            if first.dtype is not dtype or first.device != device:
                _choose_untraced(self)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move or convert, then choose again."""
        super()._apply(fn, recurse)
        self._choose_again()
        self._arrange()
        return self

    def _arrange(self) -> None:
        """Have the unroller lay out the parameters of each cell as it reads them fastest, but for computed ones."""
        if type(self._unroller).arrange is Unroller.arrange:
            return
        standing = [*map(self.standing, range(len(self._cells)))]
        cells = [cell for cell in standing if cell is not None]
        if self._is_stack and len(cells) == len(standing):
            self._unroller.arrange_stack(cells)
        else:
            for cell in cells:
                self._unroller.arrange(cell)

    @property
    def _is_stack(self) -> bool:
        """Whether the output of each cell, as it is, is the input of the next."""
        return False

    def unroller_for(self, position: int, cell: Cell) -> Unroller:
        """Return the unroller for a cell that was equipped: the loop where weights are expanded, each row its own."""
        if cell is not self._cells[position] and any(map(_is_expanded, parameters_of(cell))):
            return reference_unroller()
        return self._unroller


def _is_expanded(tensor: Tensor) -> bool:
    """Tell whether torch's per-sample gradients are asked for; by name, for to import the class costs its time."""
    return type(tensor).__name__ == "ExpandedWeight"


@_disable_dynamo
def _choose_untraced(layer: Choosing) -> None:
    layer._choose()
