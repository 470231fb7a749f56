"""Distances of rows of points from each other."""

from rnnkit_compiler.ir.contraction import Term, einsum
from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.rules.reductions import root
from rnnkit_compiler.ir.rules.table import Table
from rnnkit_compiler.ir.values import NotLowerable, Value
from rnnkit_compiler.trace.recording import Call, Ref

TABLE = Table(cheap=False)

POINT, OTHER, DIMENSION = range(3)

MOST_DIFFERENCES = 1 << 14
"""For each row."""


@TABLE.rule("_cdist_forward")
def _cdist(lowering: Lowering, call: Call) -> Value:
    """Return the distance of each point from each other one, (B, P, R) or, of one point a row, (B, R)."""
    given = lowering.arguments(call)
    if given["p"] not in (1, 2):
        raise NotLowerable(f"cdist by the norm {given['p']:g} has no counterpart")
    (points, one), (others, other) = (_points(lowering, call, given[name]) for name in ("x1", "x2"))
    size = lowering.shape(given["x1"])[-1]
    if points * others * size > MOST_DIFFERENCES:
        raise NotLowerable(f"cdist of {points * others * size:,} differences for each row is as fast by torch's own")
    sizes, every = {POINT: points, OTHER: others, DIMENSION: size}, (POINT, OTHER, DIMENSION)
    here = einsum([Term(one, (POINT, DIMENSION))], every, sizes)
    there = einsum([Term(other, (OTHER, DIMENSION))], every, sizes)
    apart = here - there
    size_of = apart.abs() if given["p"] == 1 else apart * apart
    total = einsum([Term(size_of, every)], (POINT, OTHER), sizes)
    return Value(total if given["p"] == 1 else root(total), *lowering.form(call, "cdist hides the batch"))


def _points(lowering: Lowering, call: Call, ref: Ref) -> tuple[int, Node]:
    """Return how many points each row has, and all of them; an invariant serves every row."""
    shape = lowering.shape(ref)
    if not lowering.is_value(ref):
        return shape[-2], lowering.value(ref).full()
    value = lowering.by_itself(ref)
    if value.axis != 0 or len(shape) not in (2, 3):
        raise NotLowerable("cdist does not go row by row")
    return (1 if len(shape) == 2 else shape[1]), value.full()
