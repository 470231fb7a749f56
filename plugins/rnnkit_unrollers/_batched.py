"""Batches of derivatives by torch.func.vmap, whatever the operations of a cell."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_by_one_where_it_must() -> Iterator[None]:
    """Let vmap take operations that it has no batching rule for one by one, without a warning: the cell is the user's.

    Those are few, such as `bilinear`, and the time is that of single derivatives.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "There is a performance drop")
        yield
