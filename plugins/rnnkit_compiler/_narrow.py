"""Cells in bfloat16 or float16 on a CPU: kernels compute in float32, and return what the loop would return."""

from itertools import chain

import torch

import rnnkit
from rnnkit import Cell, Prepared
from rnnkit_compiler._autocast import NARROW
from rnnkit_compiler.trace.example import first_number

WIDE = (None, "cpp")
"""What may be asked for and has no kernels in these dtypes; other backends have."""


def narrow_dtype(cell: Cell, backend: str | None) -> torch.dtype | None:
    """Return bfloat16 or float16 if a cell on a CPU is in that, and the backend has no kernels in it; else None."""
    like = first_number(cell)
    if like is None or backend not in WIDE or not like.is_cpu or like.dtype not in NARROW:
        return None
    return like.dtype


def is_narrow(cell: Cell, prepared: Prepared, backend: str | None) -> bool:
    """Tell whether a cell on a CPU is in bfloat16 or float16, with input and states, so that the loop would run it."""
    dtype = narrow_dtype(cell, backend)
    return dtype is not None and all(tensor.dtype == dtype for tensor in (prepared.xs, *prepared.state))


def said_of(cell: Cell, backend: str | None) -> list[str]:
    """Say, if a cell is narrow, what that means to its kernels."""
    dtype = narrow_dtype(cell, backend)
    return [] if dtype is None else [f"cast: {str(dtype).removeprefix('torch.')} to float32 and back, once a call"]


def in_float32(cell: Cell, backend: str | None) -> Cell:
    """Return a narrow cell in float32; gradients go through it to the cell's own tensors. Others are returned as is."""
    if narrow_dtype(cell, backend) is None:
        return cell
    own = chain(cell.named_parameters(remove_duplicate=False), cell.named_buffers(remove_duplicate=False))
    return rnnkit.copy_with_tensors(cell, {path: tensor.float() for path, tensor in own if tensor.dtype in NARROW})
