"""The runtime of the CPU: recycled memory, addresses, torch's own threads, and the libraries of a step."""

import torch
from torch import Tensor

from rnnkit_compiler.backends.base.runtime import Launch, Runtime, Shares
from rnnkit_compiler.backends.cpp.boundary import address_of
from rnnkit_compiler.backends.cpp.kernels import Kernels
from rnnkit_compiler.backends.cpp.thread_pool import threads
from rnnkit_compiler.backends.cpp.whole_products import multiply_into
from rnnkit_compiler.backends.cpp.workspace import shared
from rnnkit_compiler.schedule.buffers import Buffer
from rnnkit_compiler.schedule.layout import Layout

ROWS_ALONE = 1 << 19
"""Bytes of weights up to which every thread may read all of them: they stay in its second cache."""

ALONE = 1 << 20
"""Bytes of weights, for each row of each step, up to which one thread is done before others have begun."""

UNITS_PAY = 1 << 15
"""Bytes of weights from which on threads that share the units of few rows win more than their barrier costs."""


class CpuRuntime(Runtime):
    """Locations are addresses, and a product waits as its description in C."""

    def __init__(self, kernels: Kernels) -> None:
        self.device, self.dtype = torch.device("cpu"), kernels.dtype
        self._kernels = kernels
        self._size = kernels.dtype.itemsize

    # as they are, without a function around each: a call of a layer comes here some dozens of times
    allocate = staticmethod(shared.take)
    location_of = staticmethod(address_of)
    location_of_own = staticmethod(Tensor.data_ptr)
    multiply = staticmethod(multiply_into)

    def shifted(self, location: int, elements: int) -> int:
        """Return the address of an element so many behind."""
        return location + elements * self._size

    def spread(self, memory: Tensor, layout: Layout) -> dict[Buffer, int]:
        """Return the addresses of the buffers of a layout; raises Unfit if a kernel may not touch the memory."""
        base = address_of(memory)
        return {buffer: base + offset for buffer, offset in layout.offsets.items()}

    def shares(self, steps: int, batch: int, weight_bytes: int) -> Shares:
        """Choose how the threads share the work.

        Rows need no barrier, but then every thread reads all weights; with few rows, or weights beyond the second
        cache, the units are shared.
        """
        count = 1 if steps * batch * weight_bytes <= ALONE else threads()
        if count == 1:
            return Shares(1, 1)
        if batch >= 2 * count and weight_bytes <= ROWS_ALONE:
            return Shares(count, 1)
        return Shares(count, count if weight_bytes >= UNITS_PAY else 1)

    def launch(self, launch: Launch) -> None:
        """Run the kernel; raises Unfit if it cannot be compiled."""
        self._kernels.run(launch)
