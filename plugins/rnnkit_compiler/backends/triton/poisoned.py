"""The runtime of a trial: its memory is poisoned, so that what a kernel does not write is found out."""

from collections.abc import Sequence
from math import nan

import torch
from torch import Tensor

from rnnkit_compiler.backends.triton.runtime import TritonRuntime

BYTE = 255
"""Of what has no NaN; 255 by 255 is one, where numbers lie in memory of bytes."""


class PoisonedRuntime(TritonRuntime):
    """Memory else has what was there before: right numbers, perhaps, of torch's operations."""

    def allocate(self, shape: Sequence[int], dtype: torch.dtype, exact: bool = False) -> Tensor:
        """Return a contiguous tensor that is poisoned."""
        tensor = super().allocate(shape, dtype, exact)
        return tensor.fill_(nan if dtype.is_floating_point or dtype.is_complex else BYTE)
