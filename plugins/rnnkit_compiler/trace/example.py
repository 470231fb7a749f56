"""Plain input for a cell, to look at its step without a caller's."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

import rnnkit
from rnnkit_compiler.trace.holdings import with_held
from rnnkit_compiler.trace.put_back import put_back


def example(cell: rnnkit.Cell) -> tuple[Tensor, rnnkit.State]:
    """Return plain input for a cell, and its initial state: one step of two rows."""
    like = first_number(cell)
    dtype = torch.get_default_dtype() if like is None else like.dtype.to_real()
    xs = torch.zeros(1, 2, cell.input_size, dtype=dtype, device="cpu" if like is None else like.device)
    prepared = rnnkit.prepare(cell, xs, None, None, None)
    return xs, prepared.state


@contextmanager
def on_trial(cell: rnnkit.Cell) -> Iterator[rnnkit.Cell]:
    """Give a copy of a cell that may be run as one likes: a normalisation in `project` counts what it sees.

    Buffers and other tensors that it has by name are its own, and what it writes into lists and the like that it
    shares is put back.
    """
    with put_back(cell) as found:
        own = {**dict(cell.named_buffers(remove_duplicate=False)), **found.attributes}
        clones = {id(tensor): tensor.clone() for tensor in own.values() if not tensor.requires_grad}
        yield with_held(cell, {path: clones[id(one)] for path, one in own.items() if id(one) in clones})


def first_number(cell: rnnkit.Cell) -> Tensor | None:
    """Return the first tensor of a cell that tells dtype and device: it may have buffers or complex numbers alone."""
    tensors = [*cell.parameters(), *cell.buffers()]
    found = (tensor for is_one in (Tensor.is_floating_point, Tensor.is_complex) for tensor in tensors if is_one(tensor))
    return next(found, None)
