"""What is the same at every call of a kernel."""

from dataclasses import dataclass, field
from math import prod

from rnnkit_compiler.backends.base.backend import Backend
from rnnkit_compiler.backends.cpp.kernel import Kernel
from rnnkit_compiler.schedule.layout import Layout, lay_out
from rnnkit_compiler.schedule.plan import KernelPlan


@dataclass
class Unrolling:
    """What is the same at every call: the plan and the kernel, and how the tensors of a call enter."""

    plan: KernelPlan
    kernel: Kernel
    numbers: list[int]
    """The invariants' numbers in the recording."""

    again: Backend
    """Runs the same steps with torch's operations."""

    layouts: dict[tuple[str, int, int], Layout] = field(default_factory=dict)

    def __post_init__(self) -> None:
        step = self.plan.step
        self.of_matrix = [self.numbers.index(matrix.number) for matrix in step.matrices]
        self.of_vector = [self.numbers.index(vector.number) for vector in step.vectors]
        ahead = {hoisted.matrix for hoisted in step.hoisted}
        sizes = [prod(matrix.shape) for k, matrix in enumerate(step.matrices) if k not in ahead]
        self.weight_bytes = sum(sizes) * step.dtype.itemsize
        """Of what every step multiplies by."""
        self.given_parts = len(step.part_widths) - len(step.hoisted)

    def layout(self, name: str, steps: int, batch: int) -> Layout:
        """Give where the buffers of "Forward", "Inference" or "Backward" lie."""
        key = (name, steps, batch)
        known = self.layouts.get(key)
        if known is None:
            if len(self.layouts) > 200:
                self.layouts.clear()
            size = batch * self.plan.step.dtype.itemsize
            known = self.layouts[key] = lay_out((label, rows * size) for label, rows in self._buffers(name, steps))
        return known

    def _buffers(self, name: str, steps: int) -> list[tuple[str, int]]:
        """List the buffers that nobody else sees, and how many numbers each has for each row of the batch."""
        plan, step = self.plan, self.plan.step
        if name == "Backward":
            carried = [(f"grad_state{k}", 2 * width) for k, width in enumerate(step.state_widths)]
            return [*carried, *plan.backward.temporaries.items()]
        slots = steps + 1 if name == "Forward" else 2
        states = [(f"state{k}", slots * width) for k, width in enumerate(step.state_widths) if k != plan.y_state]
        if name == "Inference":
            return [*states, *self._own_state(slots), *plan.inference.temporaries.items()]
        places = [place for place in plan.saved_places.values() if place.buffer.startswith("saved")]
        saved = [(place.buffer, steps * place.width) for place in places]
        operands = [(f"operand{k}", steps * node.width) for k, node in enumerate(plan.operands)]
        return [*states, *saved, *operands, *plan.forward.temporaries.items()]

    def _own_state(self, slots: int) -> list[tuple[str, int]]:
        k = self.plan.y_state
        return [] if k is None else [(f"state{k}", slots * self.plan.step.state_widths[k])]
