"""Constants with a row for each of the batch."""

from collections.abc import Callable, Iterable
from typing import Any

import torch

from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.rules.table import Rule, Table
from rnnkit_compiler.ir.values import Value
from rnnkit_compiler.trace.recording import Call, Ref

TABLE = Table(cheap=True)

FILLED = Table(cheap=False)
"""Fills, which are made ahead where they are of the input alone."""


def counted(lowering: Lowering, count: int, start: int = 0) -> Node:
    """Return whole numbers from `start` on, the same for every row."""
    return numbers(lowering, range(start, start + count))


def numbers(lowering: Lowering, listed: Iterable[int]) -> Node:
    """Return these whole numbers, the same for every row."""
    return lowering.value(lowering.added.constant(torch.tensor([*listed], device="cpu"))).node


def _constant(value_of: Callable[[dict[str, Any]], Any]) -> Rule:
    """Make the rule of a constant; `value_of` finds in the arguments what it is full of, a literal or a tensor."""

    def lower(lowering: Lowering, call: Call) -> Value:
        shape, axis = lowering.place(call.output, f"{call.name} makes a constant that the projection decides")
        value = value_of(lowering.arguments(call))
        if isinstance(value, Ref):
            return lowering.spread(value, shape, axis)
        return Value(lowering.graph.number(float(value)), shape, axis)

    return lower


TABLE.rule("zeros", "zeros_like", "new_zeros", "zero")(_constant(lambda given: 0.0))
TABLE.rule("ones", "ones_like", "new_ones")(_constant(lambda given: 1.0))
TABLE.rule("full", "full_like", "new_full")(_constant(lambda given: given["fill_value"]))
FILLED.rule("fill")(_constant(lambda given: given["value"]))
