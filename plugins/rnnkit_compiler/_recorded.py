"""A step of a cell, recorded, split by what it depends on and lowered: what backends are asked about."""

from collections.abc import Callable, Sequence

from torch import Tensor

import rnnkit
from rnnkit_compiler.backends.base.backend import RecordedStep, Refusal
from rnnkit_compiler.ir.derivative import derive
from rnnkit_compiler.ir.indices import show_errors
from rnnkit_compiler.ir.lowered import Lowered
from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.rules import COMPLEX_RULES, RULES, is_cheap
from rnnkit_compiler.ir.values import NotLowerable
from rnnkit_compiler.trace.decomposition import decomposed
from rnnkit_compiler.trace.equation import equation_of
from rnnkit_compiler.trace.projection import check_projection, check_writes_nothing, may_write, of_one_step
from rnnkit_compiler.trace.random_states import kept
from rnnkit_compiler.trace.record import record, record_projected
from rnnkit_compiler.trace.recording import Call, NotRecordable, Recording
from rnnkit_compiler.trace.split import Split, split


def recorded_whole(cell: rnnkit.Cell, xs: Tensor, states: Sequence[Tensor], narrow: bool) -> RecordedStep | None:
    """Record projection and step in one, where all that waits for no state are products of the input."""
    try:
        with kept(xs):
            check_projection(cell, xs)
            recording = record(cell, [xs], states, of_one_step, may_write=True)
            if recording.writes:
                check_writes_nothing(cell, xs, ())
        recording, parted, step = lowered(recording, lambda call: True)
    except NotRecordable:
        return None
    if isinstance(step, Refusal) or step.computes_ahead:
        return None
    return _recorded(cell, recording, parted, step, states[0], takes_input=True, narrow=narrow)


def recorded_projected(
    cell: rnnkit.Cell, xs: Tensor, states: Sequence[Tensor], lower: bool, narrow: bool
) -> RecordedStep:
    """Record the step alone; the projection is left to the cell. It is lowered where that is of use."""
    recording = record_projected(cell, xs, states, may_write=True)
    step: Lowered | Refusal = Refusal("no kernel may run it")
    if lower:
        recording, parted, step = lowered(recording, is_cheap)
    else:
        parted = split(recording, is_cheap)
    looked_at = recording.asked.union(() if isinstance(step, Refusal) else step.tables)
    if recording.writes or looked_at or may_write(cell):
        paths = [path for path, number in recording.weights.items() if number in looked_at]
        check_writes_nothing(cell, xs, paths)
    return _recorded(cell, recording, parted, step, states[0], takes_input=False, narrow=narrow)


def lowered(recording: Recording, cheap: Callable[[Call], bool]) -> tuple[Recording, Split, Lowered | Refusal]:
    """Split and lower a recording, with what has no counterpart made of simpler operations; as it is if that fails."""
    simpler = decomposed(recording)
    try:
        parted = split(simpler, cheap)
        lowering = Lowering(simpler, parted)
        step = lowering.run(RULES, COMPLEX_RULES)
        show_errors(lowering, step)
        if step.answers:  # which may have no counterpart of a gradient that the step's other operations make
            derive(step)
        return simpler, parted, step
    except (NotLowerable, NotRecordable) as reason:
        return recording, split(recording, cheap), Refusal(str(reason))


def _recorded(
    cell: rnnkit.Cell,
    recording: Recording,
    parted: Split,
    lowered: Lowered | Refusal,
    like: Tensor,
    takes_input: bool,
    narrow: bool,
) -> RecordedStep:
    title, comment = cell.name, equation_of(cell)
    return RecordedStep(recording, parted, lowered, like.device, like.dtype, title, comment, takes_input, narrow)
