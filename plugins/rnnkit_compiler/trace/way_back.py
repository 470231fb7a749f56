"""The way back: from what a step gives to the gradients of all that it read."""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor


def go_back(results: Iterable[Tensor]) -> None:
    """Have all run that runs for the gradients of some results; no tensor has any afterwards."""
    learned = [tensor for tensor in results if tensor.requires_grad]
    if leaves := [*leaves_of(learned)]:
        torch.autograd.grad(learned, leaves, [torch.ones_like(tensor) for tensor in learned], allow_unused=True)


def leaves_of(results: Sequence[Tensor]) -> Iterator[Tensor]:
    """Give the tensors of which results have gradients, results that are made of nothing among them."""
    yield from (tensor for tensor in results if tensor.requires_grad and tensor.is_leaf)
    left, known = [tensor.grad_fn for tensor in results], set()
    while left:
        node = left.pop()
        if node is None or node in known:
            continue
        known.add(node)
        if (variable := getattr(node, "variable", None)) is not None:
            yield variable
        left += (before for before, _ in node.next_functions)
