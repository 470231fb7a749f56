"""Operations on the bits of integers, which are real numbers here."""

import torch

from rnnkit_compiler.ir.bits import AND, BITS, LEFT, OR, RIGHT
from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.rules.table import Table
from rnnkit_compiler.ir.values import NotLowerable, Value
from rnnkit_compiler.trace.recording import Call, Ref

TABLE = Table(cheap=True)

MOST_BITS = 32
"""Of a literal, each of which that is set is looked at."""


@TABLE.rule(*BITS)
def _bits(lowering: Lowering, call: Call) -> Value:
    given = lowering.arguments(call)
    form = lowering.form(call, f"{call.name} gives a tensor without the batch")
    one, other = (lowering.spread(given[name], *form).node for name in ("self", "other"))
    kind, literal = BITS[call.base_name], given["other"]
    if lowering.recording.dtypes[call.output] == torch.bool:
        return Value(_of_truths(kind, one, other), *form)
    if isinstance(literal, Ref):
        raise NotLowerable(f"{call.name} of two tensors of integers has no counterpart")
    return Value(_of_integer(kind, one, literal), *form)


def _of_truths(kind: str, a: Node, b: Node) -> Node:
    a, b = a.ne(0), b.ne(0)
    if kind == AND:
        return a * b
    return a.maximum(b).stop() if kind == OR else a.ne(b)


def _of_integer(kind: str, a: Node, literal: int) -> Node:
    if kind == LEFT:
        return a * float(2**literal)
    if kind == RIGHT:
        return (a / float(2**literal)).floor()
    both = _in_common(a, literal)
    if kind == AND:
        return both
    return a + float(literal) - both * (1.0 if kind == OR else 2.0)


def _in_common(a: Node, literal: int) -> Node:
    """Return the number of the bits that are set in both."""
    if not 0 <= literal < 2**MOST_BITS:
        raise NotLowerable("the bits of an integer are taken by a literal that is negative, or of more than 32 bits")
    total: Node = a.graph.number(0)
    bit = 0
    while literal >> bit:  # run by run of bits that are set
        run = 0
        while literal >> (bit + run) & 1:
            run += 1
        if run:
            shifted = (a / float(2**bit)).floor() if bit else a
            total = total + (shifted - (shifted / float(2**run)).floor() * float(2**run)) * float(2**bit)
        bit += run or 1
    return total
