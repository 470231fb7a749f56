"""Symbols as a layer's input: whole numbers that name the rows of a table."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import embedding
from torch.nn.utils.rnn import PackedSequence

from rnnkit.core.cell import behaves_as_tensor
from rnnkit.core.watching import watched_by
from rnnkit.errors import KindError, ShapeError


def taken(symbols: Any, table: Any, tapped: bool) -> tuple[Any, Tensor | None]:
    """Return the input that a layer reads, and the table if that input is still symbols, (..., 1).

    Args:
        symbols: integers (T, B), (B, T), (T,) or packed.
        table: (V, D).
        tapped: whether the states of every step are asked for; then the rows are taken at once.

    Raises:
        KindError: either is none of these.
        ShapeError: the table is no matrix.
    """
    if not behaves_as_tensor(table):
        raise KindError(f"table is a {type(table).__name__}; it must be a tensor (symbols, input_size)")
    if table.ndim != 2:
        raise ShapeError(f"table has shape {tuple(table.shape)}; it must be (symbols, input_size)")
    packed = isinstance(symbols, PackedSequence)
    values = symbols.data if packed else symbols
    if not behaves_as_tensor(values) or values.dtype not in (torch.int32, torch.int64):
        what = values.dtype if behaves_as_tensor(values) else f"a {type(values).__name__}"
        raise KindError(f"the input is {what}; with table= it must be int64 or int32, the numbers of its rows")
    if packed:
        return symbols._replace(data=embedding(values, table)), None
    if watched_by() or values.numel() < len(table):  # a graph holds for any number; of few it gains nothing
        return embedding(values, table), None
    if tapped or values.is_nested or values.layout != torch.strided or values.ndim > 2:
        return embedding(values, table), None
    return values.unsqueeze(-1), table
