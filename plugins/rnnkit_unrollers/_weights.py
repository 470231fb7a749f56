"""The tensors of a cell, once each."""

from torch import Tensor

from rnnkit import Cell


def weights_of(cell: Cell) -> tuple[list[Tensor], dict[str, int]]:
    """Return parameters and buffers, tied ones once, and the place of each among them by name."""
    named = [*cell.named_parameters(remove_duplicate=False), *cell.named_buffers(remove_duplicate=False)]
    weights = list(dict.fromkeys(tensor for _, tensor in named))
    return weights, {name: next(k for k, weight in enumerate(weights) if weight is tensor) for name, tensor in named}
