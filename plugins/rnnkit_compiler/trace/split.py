"""What a step computes, split by what it depends on: parameters, input, or state.

What depends on the parameters alone is computed once a call; what depends on the input alone, once a sequence with all
steps' rows together, where that saves a product or a reduction; the rest is the recurrence.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from rnnkit_compiler.trace.backward import all_reads, members, without
from rnnkit_compiler.trace.recording import Call, NotRecordable, Recording


class Depends(IntEnum):
    """What a tensor depends on, the last of these that holds."""

    PARAMETERS = 0
    INPUT = 1
    STATE = 2


@dataclass
class Split:
    """The calls of a recording in three groups."""

    once: list[Call]
    """Of parameters alone."""

    ahead: list[Call]
    """Of the input alone, for all steps at once."""

    core: list[Call]
    parts: list[int]
    """What the core reads of the input: tensors of the recording, given or computed ahead."""

    invariants: list[int]
    """What the core reads of the parameters and what was computed of them."""


def split(recording: Recording, is_cheap: Callable[[Call], bool]) -> Split:
    """Split a recording; what the results do not need is left out.

    Args:
        recording: of one step.
        is_cheap: whether a call of the input alone may as well be made at every step.

    Raises:
        NotRecordable: what is made of the input alone has the batch in another place than first.
    """
    # Where the batch has moved in what is made ahead: more of it, up to where it is back; or nothing.
    for test in (is_cheap, lambda call: False, lambda call: True):
        parted = _split(recording, test)
        if all(recording.shapes[number][:1] == (recording.rows,) for number in parted.parts):
            return parted
    raise NotRecordable("what it makes of the input alone does not begin with the batch")


def _split(recording: Recording, is_cheap: Callable[[Call], bool]) -> Split:
    calls = recording.live
    depends = dependence(recording, calls)
    once = [call for call in calls if _of(call, depends) is Depends.PARAMETERS]
    ahead = _ahead([call for call in calls if _of(call, depends) is Depends.INPUT], is_cheap)
    core = [call for call in calls if call not in once and call not in ahead]
    made = {number for call in core for number in call.outputs}
    read = [number for call in core for number in call.reads] + [recording.output, *recording.next_states]
    outside = [number for number in dict.fromkeys(read) if number not in made and number not in recording.states]
    return Split(
        once,
        ahead,
        core,
        [number for number in outside if depends[number] is Depends.INPUT],
        [number for number in outside if depends[number] is Depends.PARAMETERS],
    )


def dependence(recording: Recording, calls: Sequence[Call]) -> dict[int, Depends]:
    """Tell for each tensor what it depends on."""
    depends = dict.fromkeys((*recording.weights.values(), *recording.constants), Depends.PARAMETERS)
    depends |= dict.fromkeys(recording.parts, Depends.INPUT) | dict.fromkeys(recording.states, Depends.STATE)
    backwards = members(calls)
    for call in without(calls, backwards):
        reads = all_reads(call, backwards[call.output]) if call.output in backwards else call.reads
        most = max((depends[number] for number in reads), default=Depends.PARAMETERS)
        for number in call.outputs:
            if number is None:
                continue
            has_rows = any(size and size % recording.rows == 0 for size in recording.shapes[number])
            # a constant with a row for each of the batch is made where the batch is known
            depends[number] = Depends.STATE if has_rows and most is Depends.PARAMETERS else most
    for result, own in backwards.items():  # what makes the gradients of a value is where the value is
        depends |= {number: depends[result] for call in own for number in call.outputs if number is not None}
    return depends


def _of(call: Call, depends: dict[int, Depends]) -> Depends:
    return max((depends[number] for number in call.outputs if number is not None), default=Depends.PARAMETERS)


def _ahead(calls: list[Call], is_cheap: Callable[[Call], bool]) -> list[Call]:
    """Choose the calls that are not cheap, and what they need."""
    wanted: set[int] = set()
    chosen = []
    for call in reversed(calls):
        if not is_cheap(call) or wanted.intersection(call.outputs):
            chosen.append(call)
            wanted.update(call.reads)
    return chosen[::-1]
