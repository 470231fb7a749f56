"""The layout of a call: where each buffer that nobody outside of a kernel sees lies in one piece of memory."""

from collections.abc import Iterable
from typing import NamedTuple

from rnnkit_compiler.schedule.buffers import Buffer, BufferKind
from rnnkit_compiler.schedule.plan import KernelPlan

LINE = 64
"""Bytes that every buffer's place is a multiple of."""


class Layout(NamedTuple):
    """Buffers in one piece of memory."""

    size: int
    """In bytes."""

    offsets: dict[Buffer, int]
    """Where each buffer begins, in bytes."""


def layout_of(plan: KernelPlan, kernel: str, steps: int, batch: int) -> Layout:
    """Lay out the private buffers of "Forward", "Inference" or "Backward"."""
    row = batch * plan.step.dtype.itemsize
    return lay_out((buffer, numbers * row) for buffer, numbers in _private_buffers(plan, kernel, steps))


def lay_out(buffers: Iterable[tuple[Buffer, int]]) -> Layout:
    """Put buffers of so many bytes one behind the other."""
    offsets, end = {}, 0
    for buffer, size in buffers:
        offsets[buffer] = end
        # one line more than is filled, so that buffers of a power of two do not fall on each other's places in a cache
        end += (size + 2 * LINE - 1) // LINE * LINE
    return Layout(end, offsets)


def _private_buffers(plan: KernelPlan, kernel: str, steps: int) -> list[tuple[Buffer, int]]:
    """List the buffers that nobody else sees, and how many numbers each has for each row of the batch."""
    step = plan.step
    if kernel == "Backward":
        carried = [(Buffer(BufferKind.GRAD_STATE, k), 2 * width) for k, width in enumerate(step.state_widths)]
        return [*carried, *plan.backward.temporaries.items()]
    slots = steps + 1 if kernel == "Forward" else 2
    sizes = {Buffer(BufferKind.STATE, k): slots * width for k, width in enumerate(step.state_widths)}
    y_state = [] if plan.y_state is None else [Buffer(BufferKind.STATE, plan.y_state)]
    states = [(buffer, size) for buffer, size in sizes.items() if buffer not in y_state]
    if kernel == "Inference":
        return [*states, *((buffer, sizes[buffer]) for buffer in y_state), *plan.inference.temporaries.items()]
    places = [place for place in plan.saved_places.values() if place.buffer.kind == BufferKind.SAVED]
    saved = [(place.buffer, steps * place.width) for place in places]
    operands = [(Buffer(BufferKind.OPERAND, k), steps * node.width) for k, node in enumerate(plan.operands)]
    return [*states, *saved, *operands, *plan.forward.temporaries.items()]
