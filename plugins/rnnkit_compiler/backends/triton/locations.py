"""Where numbers are, for kernels of Triton: a tensor, and how far behind its beginning."""

from typing import NamedTuple

from torch import Tensor

from rnnkit_compiler.backends.base.runtime import Launch
from rnnkit_compiler.schedule.buffers import Buffer


class At(NamedTuple):
    """Element `offset` of a tensor's memory."""

    tensor: Tensor
    offset: int = 0

    def matrix(self, rows: int, columns: int, row_stride: int, column_stride: int) -> Tensor:
        """Return the numbers as a matrix."""
        start = self.tensor.storage_offset() + self.offset
        return self.tensor.as_strided((rows, columns), (row_stride, column_stride), start)

    def begin(self) -> Tensor:
        """Return a tensor that begins there."""
        return self.matrix(1, 1, 1, 1) if self.offset else self.tensor


def slots_of(launch: Launch, buffer: Buffer, start: int, count: int, width: int) -> Tensor:
    """Return all rows of some slots of a buffer, one behind the other: (count * B, width)."""
    at, rows = launch.locations[buffer], launch.timeline.batch
    matrix: Tensor = At(at.tensor, at.offset + start * rows * width).matrix(count * rows, width, width, 1)
    return matrix


def carried(launch: Launch, buffer: Buffer, slot: int, width: int) -> Tensor:
    """Return all rows of a slot of what is carried from step to step (B, width)."""
    return slots_of(launch, buffer, slot, 1, width)
