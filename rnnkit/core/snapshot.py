"""A snapshot: tensors as they were in the forward pass, for a backward pass that reads them once more."""

from collections.abc import Sequence

import torch
from torch import Tensor


class Snapshot:
    """Keeps to the memory that tensors had, whatever is assigned to their `.data` since.

    What autograd saves of an input is the tensor itself. Its version tells of writing in place, and nothing of
    `tensor.data = ...`, by which `vector_to_parameters` and some optimisers exchange the memory.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        # Under hooks, which may move saved tensors away, a copy is theirs to keep, and was made in the forward pass.
        self.under_hooks = torch._C._autograd._top_saved_tensors_default_hooks(True) is not None
        """Whether what was saved is also somebody else's, who may read it later."""
        self._aliases: list[Tensor] | None = None if self.under_hooks else [*map(_detached, tensors)]

    def of(self, saved: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return tensors that were saved, with their own numbers of then; those that lie elsewhere by now as constants.

        To be called in a backward pass; unless that keeps the graph for another one, the memory is let go.

        Raises:
            RuntimeError: the backward pass is to be differentiated, and their memory was exchanged.
        """
        aliases = self._aliases
        if not torch._C._autograd._get_current_graph_task_keep_graph():
            self._aliases = None
        if aliases is None or _lie_alike(saved, aliases):
            return saved
        if torch.is_grad_enabled():
            raise RuntimeError(
                "a tensor needed for gradients of gradients has other data than in the forward pass: .data was "
                "assigned in between; assign it after the last backward"
            )
        return [
            tensor if _share(tensor, alias) else alias.detach().requires_grad_(tensor.requires_grad)
            for tensor, alias in zip(saved, aliases, strict=True)
        ]


_detached = torch.Tensor.detach
_address = torch.Tensor.data_ptr


def _lie_alike(some: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    """Tell whether these share their memory, one by one; mostly the addresses tell, in a fraction of the time."""
    try:
        alike = [*map(_address, some)] == [*map(_address, others)]
    except (RuntimeError, NotImplementedError):  # without memory of its own
        alike = False
    return alike or all(map(_share, some, others))


def _share(one: Tensor, other: Tensor) -> bool:
    try:
        return bool(one.untyped_storage()._cdata == other.untyped_storage()._cdata)
    except (RuntimeError, NotImplementedError):  # without memory of its own
        return True
