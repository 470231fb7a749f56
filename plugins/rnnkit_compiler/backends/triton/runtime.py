"""The runtime of Triton's kernels: torch's memory, torch's products of whole matrices, launches."""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from rnnkit_compiler.backends.base import numbered
from rnnkit_compiler.backends.base.runtime import Launch, LaunchingRuntime, Matrix, Unfit
from rnnkit_compiler.backends.triton.chunks import Chunks
from rnnkit_compiler.backends.triton.cost import Choice, choose
from rnnkit_compiler.backends.triton.kernels import Kernels
from rnnkit_compiler.backends.triton.locations import At, carried
from rnnkit_compiler.schedule.buffers import Buffer, BufferKind
from rnnkit_compiler.schedule.sharing import Shares, StepWork

keys_of = torch._C._dispatch_keys


class TritonRuntime(LaunchingRuntime):
    """Locations are tensors and offsets, and a product waits as a function.

    Args:
        kernels: of the step.
        kind: of kernels that are run.
        chunk: steps that are recorded as one where they are launched one by one.
        is_crowded: have fewer programs share the units than could, as there are for many rows.
    """

    def __init__(self, kernels: Kernels, kind: str, chunk: int, is_crowded: bool) -> None:
        self.device, self.dtype, self._kernels, self._kind = kernels.device, kernels.dtype, kernels, kind
        self._chunks, self._is_crowded = Chunks(chunk), is_crowded
        self._choices: dict[int, Choice] = {}
        """By the rows of a batch."""
        with torch.inference_mode():
            self._plain = {keys_of(torch.empty(0, device=self.device)).raw_repr()}
        with torch.inference_mode(False):
            self._plain.add(keys_of(torch.empty(0, device=self.device)).raw_repr())

    @property
    def dtype_of_sums(self) -> torch.dtype:
        """The dtype in which gradients of vectors are added up over the steps."""
        return self._kernels.real

    def allocate(self, shape: Sequence[int], dtype: torch.dtype, exact: bool = False) -> Tensor:
        """Return a contiguous tensor; what is in it is undefined."""
        return torch.empty(shape, dtype=dtype, device=self.device)

    def location_of(self, tensor: Tensor, /) -> At:
        """Return where the numbers of a tensor from outside are.

        Raises:
            Unfit: it is on another device, a wrapper, or zero or negated by a mark.
        """
        if keys_of(tensor).raw_repr() not in self._plain:
            raise Unfit(f"a tensor is {keys_of(tensor)}")
        if not tensor.data_ptr() and tensor.numel():
            raise Unfit("the memory of a tensor was given back")
        return At(tensor.detach())

    def location_of_own(self, tensor: Tensor, /) -> At:
        """Return where the numbers of a tensor are that was made for the kernel."""
        return At(tensor.detach())

    def shifted(self, location: At, elements: int) -> At:
        """Return the location of an element so many behind."""
        return At(location.tensor, location.offset + elements)

    def shares(self, steps: int, batch: int, work: StepWork) -> Shares:
        """Tell how many programs have rows of a batch; those that share the units of these come beside."""
        if batch not in self._choices:
            kernels = self._kernels
            self._choices[batch] = choose(self._kind, work, kernels.offered, batch, kernels.processors)
        choice = self._choices[batch]
        units = max(1, choice.units // 2) if self._is_crowded else choice.units
        return Shares(choice.tiles.programs(batch), units)

    def multiply(
        self, result: Tensor, a: Matrix, b: Matrix, bias: At | None, row_sums: At | None
    ) -> Callable[[], None]:
        """Prepare the product of A (M, K) and B (K, N)."""

        def product() -> None:
            left, right = (matrix.location.matrix(*matrix[1:]) for matrix in (a, b))
            right = right.to(left.dtype)  # a matrix of constants may be in float32 beside rows of low precision
            rows = result.view(a.rows, b.columns)
            if bias is None:
                torch.mm(left, right, out=rows)
            else:
                torch.addmm(bias.matrix(1, b.columns, b.columns, 1), left, right, out=rows)
            if row_sums is not None:
                row_sums.matrix(1, a.rows, a.rows, 1)[0] = left.sum(1)

        return product

    def launch(self, launch: Launch) -> None:
        """Run a kernel, and the products that wait for it."""
        backward = launch.kernel == "Backward"
        with torch.no_grad():
            _each(() if backward else launch.products)
            self._enter(launch, backward)
            self._kernels.run(launch, self._kind, self._chunks)
            self._leave(launch, backward)
            _each(launch.products if backward else ())

    def _enter(self, launch: Launch, backward: bool) -> None:
        """Put what is carried where the first step reads it."""
        slot = launch.timeline.steps % 2 if backward else 0
        for k, width, buffer in self._carried(backward):
            rows, first = carried(launch, buffer, slot, width), numbered.first(k)
            if first in launch.locations:
                rows.copy_(carried(launch, first, 0, width))
            else:
                rows.zero_()

    def _leave(self, launch: Launch, backward: bool) -> None:
        """Take what is carried from where the last step has left it."""
        slot = 0 if backward else launch.timeline.steps % launch.slots
        for k, width, buffer in self._carried(backward):
            if numbered.last(k) in launch.locations:
                carried(launch, numbered.last(k), 0, width).copy_(carried(launch, buffer, slot, width))

    def _carried(self, backward: bool) -> list[tuple[int, int, Buffer]]:
        kind = BufferKind.GRAD_STATE if backward else BufferKind.STATE
        return [(k, width, Buffer(kind, k)) for k, width in enumerate(self._kernels.plan.step.state_widths)]


def _each(products: Sequence[Any]) -> None:
    for product in chain(products):
        product()
