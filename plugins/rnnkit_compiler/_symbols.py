"""Symbols as input: numbers of the rows of a table, each of which may be projected once instead of at each step."""

import torch
from torch import Tensor

import rnnkit

OFTEN = 2
"""Steps' rows for each row of the table, on average, from which on it is worth it."""


def pays(symbols: Tensor, table: Tensor) -> bool:
    """Tell whether symbols (T, B) name the rows of a table (V, D) often, and nothing is in the way.

    A row that no symbol names takes part in products, with zeros on the way back: it has to be finite.
    """
    if torch.compiler.is_compiling() or rnnkit.is_traced() or rnnkit.watched_by() or not table.is_cpu:
        return False
    if rnnkit.casts_automatically(table.device) or symbols.numel() < OFTEN * len(table):
        return False
    return bool(table.detach().sum().isfinite())


def stand_in(symbols: Tensor, table: Tensor) -> Tensor:
    """Return what has the form of the rows that are named, (T, B, D), in next to no memory."""
    return table.detach()[:1].unsqueeze(0).expand(*symbols.shape, -1)
