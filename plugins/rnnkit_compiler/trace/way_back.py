"""The way back: from what a step gives to the gradients of all that it read."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

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
    yield from (node.variable for node in nodes_of(results) if hasattr(node, "variable"))


def nodes_of(results: Iterable[Tensor]) -> Iterator[Any]:
    """Give the nodes of the graph that results have come through, each once."""
    left: list[Any] = [tensor.grad_fn for tensor in results]
    known = set()
    while left:
        node = left.pop()
        if node is not None and node not in known:
            known.add(node)
            yield node
            left += (before for before, _ in node.next_functions)
