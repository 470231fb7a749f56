"""Coordinates: the tensors of a state that have derivatives as one vector of real numbers a row, and back."""

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnkit.core.cell import Cell, State, starting_state


def differentiable(tensor: Tensor) -> bool:
    """Tell whether a tensor has derivatives: real and complex numbers have, integers and booleans have not."""
    return tensor.is_floating_point() or tensor.is_complex()


def array_of(tensor: Tensor) -> NDArray[Any]:
    """Return a tensor as an array of numpy's, which has no bfloat16."""
    tensor = tensor.detach().cpu()
    values: NDArray[Any] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return values


def real(tensor: Tensor) -> Tensor:
    """Return a tensor (B, ...) as real numbers (B, N); a complex number is two."""
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.resolve_conj())
    return tensor.reshape(tensor.shape[0], -1)


def flatten(state: State) -> Tensor:
    """Join the tensors of a state that have derivatives to (B, N), in their order."""
    return torch.cat([real(tensor) for tensor in state if differentiable(tensor)], 1)


def unflatten(vector: Tensor, like: State) -> State:
    """Return the state that `vector` (B, N) stands for; tensors without derivatives are those of `like`."""
    state: list[Tensor] = []
    start = 0
    for tensor in like:
        if not differentiable(tensor):
            state.append(tensor)
            continue
        width = tensor[:1].numel() * (2 if tensor.is_complex() else 1)
        part = vector[:, start : start + width]
        start += width
        if tensor.is_complex():
            pairs = part.reshape(*tensor.shape, 2).to(tensor.dtype.to_real())
            state.append(torch.view_as_complex(pairs.contiguous()))
        else:
            state.append(part.reshape(tensor.shape).to(tensor.dtype))
    return tuple(state)


def integer_states(cell: Cell) -> list[str]:
    """Name the state tensors of a cell that have no derivatives."""
    state = starting_state(cell, 1)
    return [name for name, tensor in zip(cell.state_names, state, strict=True) if not differentiable(tensor)]
