"""Indices that may be out of range, as far as a step tells: an error of torch's, which a kernel cannot raise.

A row with one has an output that is no number, and the call is made again by the loop, which says what is wrong.
"""

import math

from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.lowered import Lowered
from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.values import NotLowerable
from rnnkit_compiler.trace.recording import Ref


def show_errors(lowering: Lowering, step: Lowered) -> None:
    """Have the output of a lowered step be no number in rows that take units by an index out of range.

    Raises:
        NotLowerable: there is no such number, as among integers.
    """
    unproven = lowering.dtypes.whole.unproven
    if not unproven:
        return
    recording, before = lowering.recording, step.output
    if not recording.dtypes[recording.output].is_floating_point:
        name, _, allowed = unproven[0]
        raise NotLowerable(
            f"{name} takes units by an index that may be out of range, as far as the step tells, and the output has "
            f"no number to say so; take it modulo {int(allowed.most) + 1}, or clamp it"
        )
    right: Node | None = None
    for _, number, allowed in unproven:
        index = lowering.by_itself(Ref(number)).node
        inside = lowering.graph.min(index.ge(allowed.least) * index.le(allowed.most))
        right = inside if right is None else right * inside
    assert right is not None
    step.output = right.where(before, math.nan)
    step.next_states = [step.output if node is before else node for node in step.next_states]
    recording.is_conditional = True
