"""Plain input for a cell, to look at its step without a caller's."""

import torch
from torch import Tensor

import rnnkit


def example(cell: rnnkit.Cell) -> tuple[Tensor, rnnkit.State]:
    """Return plain input for a cell, and its initial state: one step of two rows."""
    like = first_number(cell)
    dtype = torch.get_default_dtype() if like is None else like.dtype.to_real()
    xs = torch.zeros(1, 2, cell.input_size, dtype=dtype, device="cpu" if like is None else like.device)
    prepared = rnnkit.prepare(cell, xs, None, None, None)
    return xs, prepared.state


def to_try(cell: rnnkit.Cell) -> rnnkit.Cell:
    """Return a copy of a cell whose buffers are its own: a normalisation in `project` counts what it sees."""
    return rnnkit.copy_with_tensors(cell, {name: buffer.clone() for name, buffer in cell.named_buffers()})


def first_number(cell: rnnkit.Cell) -> Tensor | None:
    """Return the first tensor of a cell that tells dtype and device: it may have buffers or complex numbers alone."""
    tensors = [*cell.parameters(), *cell.buffers()]
    found = (tensor for is_one in (Tensor.is_floating_point, Tensor.is_complex) for tensor in tensors if is_one(tensor))
    return next(found, None)
