"""The advancer: a cell's steps without gradients, from tensors into tensors, all that can be prepared being so."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from torch import Tensor


class Advancer(ABC):
    """Runs one cell over inputs of one size, as its unroller would under `torch.no_grad`, at next to no cost a call.

    An unroller makes it, by `Unroller.advancer`, once for a cell and a number of steps and rows. Who calls it has
    checked that tensors are of the right sizes and dtypes, contiguous and on the right device, that gradients are off
    and that nothing looks at the call (`rnnkit.watched_by`, `rnnkit.casts_automatically`).
    """

    @abstractmethod
    def holds(self) -> bool:
        """Tell whether the cell still is what this was made for; cheap, to be asked before a call.

        Numbers of parameters and buffers that were overwritten in place are no change: a call reads them anew.
        """

    @abstractmethod
    def __call__(self, xs: Tensor, before: Sequence[Tensor], ys: Tensor, after: Sequence[Tensor]) -> bool:
        """Run the steps.

        Of `ys` and the states only the number of elements counts, not the shape.

        Args:
            xs: (T, B, D).
            before: the state before the first step, each (B, ...).
            ys: for the outputs (T, B, O).
            after: for the state after the last step; may be the tensors of `before`.

        Returns:
            False if a tensor is none that may be touched so; then nothing has been written.
        """

    @abstractmethod
    def repeat(self, state: Sequence[Tensor]) -> Callable[[Tensor, Tensor], bool] | None:
        """Return what runs the steps over xs (T, B, D) into ys (T, B, O), call after call from a state into itself.

        It returns what a call does, holds as long as the advancer, and is of one thread at a time; None: there is none.
        """
