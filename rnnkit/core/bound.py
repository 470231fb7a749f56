"""The bound unroller: a cell and its unrolling, all that can be checked being so."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import Tensor

from rnnkit.core.cell import State

if TYPE_CHECKING:
    from rnnkit.core.unroller import Prepared


class Bound(ABC):
    """Runs one cell over whole inputs, as its unroller would, with gradients or without, at less cost a call.

    An unroller makes it, by `Unroller.bound`. Who calls it has checked that tensors are of the right shapes and dtypes
    and on the right device, and that nothing looks at the call (`rnnkit.watched_by`, `rnnkit.casts_automatically`).
    """

    @abstractmethod
    def holds(self) -> bool:
        """Tell whether the cell still is what this was made for; cheap, to be asked before a call.

        Numbers of parameters and buffers that were overwritten in place are no change: a call reads them anew.
        """

    @abstractmethod
    def __call__(self, xs: Tensor, state: State) -> tuple[Tensor, State] | None:
        """Unroll the cell.

        Args:
            xs: (T, B, D), real numbers.
            state: before the first step, each (B, ...).

        Returns:
            ys (T, B, O) and the state after the last step, or None, nothing having been done, where the unroller itself
            is to do this call for how its tensors lie.
        """

    def masked(self, prepared: "Prepared") -> tuple[Tensor, State] | None:
        """Unroll the cell where rows end or start again, as `rnnkit.prepare` has it; None: its unroller is to."""
        return None
