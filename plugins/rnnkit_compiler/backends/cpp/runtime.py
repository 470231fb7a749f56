"""The runtime of the CPU: recycled memory, addresses, torch's own threads, and the libraries of a step."""

import torch
from torch import Tensor

from rnnkit_compiler.backends.base.runtime import Launch, Runtime
from rnnkit_compiler.backends.cpp.boundary import address_of
from rnnkit_compiler.backends.cpp.kernels import Kernels
from rnnkit_compiler.backends.cpp.thread_pool import threads
from rnnkit_compiler.backends.cpp.whole_products import multiply_into
from rnnkit_compiler.backends.cpp.workspace import shared
from rnnkit_compiler.schedule.buffers import Buffer
from rnnkit_compiler.schedule.layout import Layout
from rnnkit_compiler.schedule.sharing import Shares, StepWork, best_shares


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

    def shares(self, steps: int, batch: int, work: StepWork) -> Shares:
        """Choose how the threads share the work, by the model of `schedule.sharing`."""
        return best_shares(work, steps, batch, threads())

    def launch(self, launch: Launch) -> None:
        """Run the kernel; raises Unfit if it cannot be compiled."""
        self._kernels.run(launch)
