"""What `decomposition` makes products of where it can: why it has not."""

from math import prod

from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.rules.table import Table
from rnnkit_compiler.ir.values import NotLowerable
from rnnkit_compiler.trace.recording import Call

TABLE = Table(cheap=False)


@TABLE.rule("convolution")
def _convolution(lowering: Lowering, call: Call) -> None:
    given = lowering.arguments(call)
    if not lowering.is_value(given["input"]) or lowering.is_value(given["weight"]):
        raise NotLowerable("a convolution of weights alone, or by what depends on the row, has no counterpart")
    if given["transposed"] or given["groups"] != 1 or set(given["stride"]) != {1}:
        what = "that is transposed, in groups or with a stride"
        raise NotLowerable(f"a convolution {what} has no counterpart where its matrix would be large")
    count = prod(lowering.shape(given["weight"])) * prod(lowering.recording.shapes[call.output][2:])
    raise NotLowerable(f"a convolution of {count:,} multiplications for each row is as fast by torch's own operation")


@TABLE.rule("_trilinear")
def _bilinear(lowering: Lowering, call: Call) -> None:
    raise NotLowerable("a bilinear form of more than one dimension for each row has no counterpart")
