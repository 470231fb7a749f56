"""The runtime: what a backend's kernels need of a device, namely memory, products of whole matrices, and launches."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnkit_compiler.backends.base.backend import Timeline
from rnnkit_compiler.schedule.buffers import Buffer
from rnnkit_compiler.schedule.layout import Layout
from rnnkit_compiler.schedule.sharing import Shares, StepWork

Location = Any
"""Where numbers are, in a form that the runtime chooses: an address, or a tensor and an offset."""

PendingProduct = Any
"""A product that waits for a launch, in a form that the runtime chooses."""


class Unfit(Exception):  # noqa: N818 - a reason, not an error: what raises it falls back
    """Why a call falls back: a tensor whose memory a kernel may not touch, or a kernel that cannot be had."""


class Matrix(NamedTuple):
    """A matrix in memory, of any strides in elements."""

    location: Location
    rows: int
    columns: int
    row_stride: int
    column_stride: int

    @property
    def transposed(self) -> "Matrix":
        """The transpose."""
        return Matrix(self.location, self.columns, self.rows, self.column_stride, self.row_stride)


class Launch(NamedTuple):
    """One run of a kernel over all steps."""

    kernel: str
    """"Forward", "Inference" or "Backward"."""

    timeline: Timeline
    locations: Mapping[Buffer, Location]
    """Of contiguous memory; of those not used, none."""

    matrices: Sequence[Matrix]
    """The invariant matrices."""

    shares: Shares
    slots: int
    """Of the buffers of states."""

    writes_y: bool
    """Whether the output is written to a buffer of its own; else it is a state."""

    products: Sequence[PendingProduct]
    """Done before the first step, in backward after the last."""


class Runtime(ABC):
    """The kernels of one step on one device."""

    device: torch.device
    dtype: torch.dtype

    @property
    def dtype_of_sums(self) -> torch.dtype:
        """The dtype in which gradients of vectors are added up over the steps."""
        return self.dtype

    @abstractmethod
    def allocate(self, shape: Sequence[int], dtype: torch.dtype, exact: bool = False) -> Tensor:
        """Return a contiguous tensor; what is in it is undefined.

        It lies on memory of its own size if `exact`: what a user may save to a file, storage and all.
        """

    @abstractmethod
    def location_of(self, tensor: Tensor, /) -> Location:
        """Return where the numbers of a tensor from outside are.

        Raises:
            Unfit: a kernel may not touch them.
        """

    @abstractmethod
    def location_of_own(self, tensor: Tensor, /) -> Location:
        """Return where the numbers of a tensor are that was made for the kernel."""

    @abstractmethod
    def shifted(self, location: Location, elements: int) -> Location:
        """Return the location of an element so many behind."""

    @abstractmethod
    def spread(self, memory: Tensor, layout: Layout) -> dict[Buffer, Location]:
        """Return where the buffers of a layout are in a piece of memory.

        Raises:
            Unfit: a kernel may not touch it.
        """

    @abstractmethod
    def shares(self, steps: int, batch: int, work: StepWork) -> Shares:
        """Choose how the workers share so many steps of a batch."""

    @abstractmethod
    def multiply(
        self, result: Tensor, a: Matrix, b: Matrix, bias: Location | None, row_sums: Location | None
    ) -> PendingProduct:
        """Prepare the product of A (M, K) and B (K, N), which is done by the launch that it is handed to.

        Args:
            result: contiguous, M * N elements.
            a: the left matrix.
            b: the right one.
            bias: of N numbers that are added to each row.
            row_sums: of room for M numbers, the sum of each row of A.
        """

    @abstractmethod
    def launch(self, launch: Launch) -> None:
        """Run a kernel, and the products that wait for it.

        Raises:
            Unfit: there is no such kernel here.
        """
