"""Connection: to which tensors of a step autograd has a way back from the results.

Through `round` and `sign` comes a gradient of zeros, through `argmax` and `detach` none; optimisers tell one from the
other.
"""

from rnnkit_compiler.trace import applied, instead
from rnnkit_compiler.trace.backward import is_backward
from rnnkit_compiler.trace.recording import Call, Recording

CUT = frozenset(
    ("detach", "zeros_like", "ones_like", "full_like", "empty_like", "new_zeros", "new_ones", "new_full", "new_empty")
)
"""What reads a tensor and hands back no gradient."""


def connected(recording: Recording) -> frozenset[int]:
    """Return the numbers of the tensors that get a gradient from the results of a step, of zeros or others."""
    found = {recording.output, *recording.next_states}
    for call in reversed(recording.calls):
        if call.base_name not in CUT and any(_carries(recording, number, found) for number in call.outputs):
            found.update(_read(call))
    return frozenset(found)


def _carries(recording: Recording, number: int | None, found: set[int]) -> bool:
    if number is None or number not in found:
        return False
    return recording.dtypes[number].is_floating_point or recording.dtypes[number].is_complex


def _read(call: Call) -> tuple[int, ...]:
    """Return the tensors whose gradient a call makes."""
    if is_backward(call):
        return tuple(ref.number for ref in call.arguments["sources"])
    return tuple(call.reads[1:2] if call.base_name in (instead.NAME, applied.NAME, applied.ONCE) else call.reads)
