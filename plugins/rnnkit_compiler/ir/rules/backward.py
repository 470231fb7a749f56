"""A gradient that the author of a step makes: its calls are lowered where the derivative is made, for its gradient.

The node `backward` reads what gets a gradient, and has none but a derivative: `instead` puts it below the value.
"""

from collections.abc import Sequence
from functools import partial

from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.rules.table import Table
from rnnkit_compiler.ir.values import NotLowerable, Value
from rnnkit_compiler.trace import backward
from rnnkit_compiler.trace.recording import Call

TABLE = Table(cheap=False)


@TABLE.rule(backward.NAME, backward.ONCE)
def _with_backward(lowering: Lowering, call: Call) -> Value:
    given = lowering.arguments(call)
    if not all(map(lowering.is_value, (given["value"], *given["sources"]))):
        raise NotLowerable("a gradient of its author's that goes to parameters has no counterpart")
    value, sources = lowering.value(given["value"]), [lowering.value(ref) for ref in given["sources"]]
    number = len(lowering.answers)
    answer = partial(_answer, lowering, call, sources)
    answer(lowering.graph.make("gradient", (), value.width, number))  # what cannot be lowered shows now
    lowering.answers.append(answer)
    node = lowering.graph.make("backward", [source.full() for source in sources], value.width, number)
    return value.like(value.full().instead(node))


def _answer(lowering: Lowering, call: Call, sources: Sequence[Value], gradient: Node) -> list[Node]:
    """Return the gradients of sources, made by the calls of a backward from the gradient of its value."""
    given, own = lowering.arguments(call), lowering.members[call.output]
    number = given["gradient"].number
    lowering.values[number] = lowering.value(given["value"]).like(gradient)
    for other in backward.without(backward.inner_of(call, own), backward.members(own)):
        lowering.lower(other)
    pairs = zip(given["gradients"], sources, strict=True)
    return [lowering.spread(ref, *source.form).full() for ref, source in pairs]
