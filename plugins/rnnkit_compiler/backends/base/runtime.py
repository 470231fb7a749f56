"""The runtime: what a backend's kernels need of a device, namely memory, products of whole matrices, and launches."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnkit_compiler.backends.base.backend import Timeline
from rnnkit_compiler.schedule.buffers import Buffer
from rnnkit_compiler.schedule.sharing import Shares, StepWork

Location = Any
"""Where numbers are, in a form that the runtime chooses: an address, or a tensor and an offset."""

PendingProduct = Any
"""A product that waits for a launch, in a form that the runtime chooses."""


class Unfit(Exception):  # noqa: N818 - a reason, not an error: what raises it falls back
    """Why a call falls back: a tensor whose memory a kernel may not touch, or a kernel that cannot be had."""


def sizes(shape: Sequence[int]) -> Sequence[Any]:
    """Return the arguments by which torch.empty and the like take a shape in the least time: one by one."""
    return shape or ((),)


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

    product_slots: int
    """Of products of the input alone, which are done before the steps that read them: T, or those of a stretch."""

    writes_y: bool
    """Whether the output is written to a buffer of its own; else it is a state."""

    products: Sequence[PendingProduct]
    """Done before the first step, in backward after the last."""


class Spot(NamedTuple):
    """Where numbers will be in a call to come."""

    tensor: int
    """The number of the tensor."""

    offset: int = 0
    """Elements behind its first one."""

    def shifted(self, elements: int) -> "Spot":
        """Return the spot so many elements behind."""
        return Spot(self.tensor, self.offset + elements)


class Product(NamedTuple):
    """A product of whole matrices in calls to come: A (M, K) by B (K, N); locations are spots."""

    result: int
    """The number of the tensor, contiguous, of M * N elements."""

    a: Matrix
    b: Matrix
    bias: Spot | None
    """Of N numbers that are added to each row."""

    row_sums: Spot | None
    """Of room for M numbers, the sum of each row of A."""

    over_steps: bool
    """Whether it sums over rows of all steps, K of them; else it has M of them."""


class Prepared(NamedTuple):
    """One run of a kernel over all steps, in calls to come; see `Launch`. Locations are spots."""

    kernel: str
    steps: int
    batch: int
    outside: frozenset[int]
    """The tensors that come from outside, which a kernel may not be able to touch."""

    fixed: Mapping[int, int]
    """The addresses of tensors from outside that lie there in all calls."""

    locations: Mapping[Buffer, Spot]
    matrices: Sequence[Matrix]
    shares: Shares
    slots: int
    product_slots: int
    writes_y: bool
    products: Sequence[Product]


class Runner(ABC):
    """Runs what is prepared."""

    @abstractmethod
    def __call__(self, tensors: Sequence[Tensor], timeline: Timeline) -> None:
        """Run it on the tensors of a call, by their numbers.

        Raises:
            Unfit: a kernel may not touch one of them; nothing has been computed.
        """

    def reads(self, number: int) -> bool:
        """Tell whether it has to do with a tensor at all."""
        return True


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

    def allocator(self, shape: Sequence[int], dtype: torch.dtype, exact: bool = False) -> Callable[[], Tensor]:
        """Return what allocates such a tensor at each call."""
        return partial(self.allocate, shape, dtype, exact)

    def allocator_of_sums(self, shape: Sequence[int], workers: int) -> Callable[[], Tensor]:
        """Return what makes room at each call for what workers add up over the steps, each its own, from zero on."""
        return partial(torch.zeros, *shape, dtype=self.dtype_of_sums, device=self.device)

    @abstractmethod
    def shares(self, steps: int, batch: int, work: StepWork) -> Shares:
        """Choose how the workers share so many steps of a batch."""

    def product_slots(self, steps: int, batch: int) -> int:
        """Return the steps for which products of the input alone are kept, where backward reads none of them."""
        return steps

    @abstractmethod
    def runner(self, prepared: Prepared) -> Runner:
        """Return what runs this in each call to come; several threads may do so at once.

        Raises:
            Unfit: there is no such kernel here.
        """


class LaunchingRuntime(Runtime):
    """One that finds out anew at each run where everything is."""

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

    def runner(self, prepared: Prepared) -> Runner:
        """Return what launches the kernel; see `Runtime`."""
        return _Launcher(self, prepared)

    def describe(self, prepared: Prepared, tensors: Sequence[Tensor], timeline: Timeline) -> Launch:
        """Return the launch of what is prepared, on the tensors of a call."""
        found: dict[int, Location] = {}

        def at(spot: Spot) -> Location:
            number = spot.tensor
            if number not in found:
                locate = self.location_of if number in prepared.outside else self.location_of_own
                found[number] = locate(tensors[number])
            return self.shifted(found[number], spot.offset) if spot.offset else found[number]

        def matrix(planned: Matrix) -> Matrix:
            return planned._replace(location=at(planned.location))

        locations = {buffer: at(spot) for buffer, spot in prepared.locations.items()}
        matrices = [*map(matrix, prepared.matrices)]
        products = [
            self.multiply(tensors[result], matrix(a), matrix(b), *(None if s is None else at(s) for s in (bias, sums)))
            for result, a, b, bias, sums, _ in prepared.products
        ]
        slots = (prepared.slots, prepared.product_slots)
        return Launch(
            prepared.kernel, timeline, locations, matrices, prepared.shares, *slots, prepared.writes_y, products
        )


class _Launcher(Runner):
    def __init__(self, runtime: LaunchingRuntime, prepared: Prepared) -> None:
        self._runtime, self._prepared = runtime, prepared

    def __call__(self, tensors: Sequence[Tensor], timeline: Timeline) -> None:
        self._runtime.launch(self._runtime.describe(self._prepared, tensors, timeline))
