"""Whether what a backward makes of a gradient is linear in it: whatever it does along the units of a row.

Of one that is not, as of one that is clipped, the second derivatives would be others: autograd adds up what comes to a
Function from all sides before its backward sees it, and a recording that is run again gets it in parts.
"""

from collections.abc import Set
from typing import Any

from rnnkit_compiler.trace.applied import is_zero, refusal
from rnnkit_compiler.trace.recording import FILLED, Call, NotRecordable, Recording, Ref

OF_ONE = frozenset(
    (
        *("neg", "view", "_unsafe_view", "clone", "alias", "detach", "_to_copy", "expand", "permute", "transpose", "t"),
        *("unsqueeze", "squeeze", "slice", "select", "split", "split_with_sizes", "unbind", "flip", "roll", "repeat"),
        *("diagonal", "tril", "triu", "index_select", "gather", "index", "sum", "mean", "cumsum"),
    )
)
"""What is linear in its first operand, whatever the others are."""

OF_EITHER = frozenset(("mul", "mm", "bmm", "mv", "dot"))
"""What is linear in each of two operands."""

JOINS = frozenset(("cat", "stack"))
SCATTERS = frozenset(("slice_scatter", "select_scatter", "diagonal_scatter"))


def check_linear(node: Any, recording: Recording, start: int, gradient: int) -> None:
    """Raise NotRecordable unless all that a backward makes of a gradient is linear in it.

    Args:
        node: of the Function.
        recording: in which its backward was noted.
        start: the first call of that.
        gradient: the number of the gradient that backward was given.
    """
    made = {gradient}
    for call in recording.calls[start:]:
        if gradient in call.outputs or call.base_name in FILLED or not made.intersection(call.reads):
            continue
        if not _is_linear(recording, call, made):
            raise NotRecordable(refusal(node))
        made.update(number for number in call.outputs if number is not None)


def _is_linear(recording: Recording, call: Call, made: Set[int]) -> bool:
    """Tell whether what a call gives is linear in what is made of a gradient."""
    name, given = call.base_name, call.arguments
    is_one = sum(number in made for number in call.reads) == 1

    def is_made(value: Any) -> bool:
        return isinstance(value, Ref) and value.number in made

    def is_made_or_zero(value: Any) -> bool:
        return is_made(value) or is_zero(recording, value)

    if name in OF_EITHER:
        return is_one
    dtypes = [recording.dtypes[number] for number in call.outputs if number is not None]
    if not all(dtype.is_floating_point or dtype.is_complex for dtype in dtypes):
        return False
    if name in OF_ONE:
        return is_one and is_made(call.args[0])
    if name in ("add", "sub", "rsub"):
        return is_made_or_zero(given["self"]) and is_made_or_zero(given["other"])
    if name in JOINS:
        return all(map(is_made_or_zero, given["tensors"]))
    if name in SCATTERS:
        return is_made_or_zero(given["self"]) and is_made_or_zero(given["src"])
    if name == "where":
        return not is_made(given["condition"]) and is_made_or_zero(given["self"]) and is_made_or_zero(given["other"])
    if name == "div":
        return is_one and is_made(given["self"]) and not given.get("rounding_mode")
    if name in ("masked_fill", "fill", "constant_pad_nd"):
        return is_one and is_made(given["self"]) and is_zero(recording, given["value"])
    if name == "index_put":
        return is_one and is_made(given["self"]) and not given["accumulate"] and is_zero(recording, given["values"])
    return name == "zero"
