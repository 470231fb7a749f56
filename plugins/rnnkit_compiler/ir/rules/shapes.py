"""What changes nothing but the shape, the order or the type."""

from collections.abc import Sequence
from math import prod

import torch

from rnnkit_compiler.ir.contraction import Term, einsum
from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.rules.table import Table
from rnnkit_compiler.ir.values import NotLowerable, Value, joined_axis
from rnnkit_compiler.ir.whole_numbers import INTEGERS
from rnnkit_compiler.trace.recording import Call

TABLE = Table(cheap=True)


@TABLE.rule("alias", "clone", "lift_fresh_copy", "resolve_conj")
def _same(lowering: Lowering, call: Call) -> Value:
    return lowering.value(call.args[0])


@TABLE.rule("detach")
def _detach(lowering: Lowering, call: Call) -> Value:
    value = lowering.value(call.args[0])
    return value.like(value.node.stop())


@TABLE.rule("_to_copy")
def _to_copy(lowering: Lowering, call: Call) -> Value:
    value = lowering.value(call.args[0])
    before, after = (lowering.recording.dtypes[number] for number in (call.reads[0], call.output))
    if after.is_floating_point and not before.is_complex:  # from another precision: one that is told to be right
        return value
    if after is torch.bool:
        return value.like(value.node.ne(0))
    if after in INTEGERS:
        return value if before in (torch.bool, *INTEGERS) else value.like(value.node.trunc())
    raise NotLowerable(f"a conversion from {before} to {after} has no counterpart")


@TABLE.rule("view", "_unsafe_view", "_reshape_alias", "_reshape_copy", "unsqueeze", "squeeze")
def _view(lowering: Lowering, call: Call) -> Value:
    """Give another shape to elements that stay in their order: as many features stay before the batch."""
    value, rows = lowering.value(call.args[0]), lowering.recording.rows
    shape = lowering.recording.shapes[call.output]
    found = joined_axis(shape, rows)
    if found is None:
        raise NotLowerable(f"{call.name} hides the batch")
    axis, joined = found
    before = prod(value.shape[: value.axis]) * value.outer
    outer, rest = divmod(before, prod(shape[:axis]))
    if rest or not outer or joined % outer:
        raise NotLowerable(f"{call.name} moves the batch")
    return Value(value.node, shape, axis, joined, outer)


@TABLE.rule("expand")
def _expand(lowering: Lowering, call: Call) -> Value:
    return lowering.spread(call.args[0], *lowering.form(call, "expand hides the batch"))


@TABLE.rule("repeat")
def _repeat(lowering: Lowering, call: Call) -> Value:
    value, times = lowering.value(call.args[0]), lowering.arguments(call)["repeats"]
    if not lowering.is_value(call.args[0]):
        return _repeated_for_rows(lowering, call, value, times)
    lead = len(times) - len(value.shape)
    if times[lead + value.axis] != 1:
        raise NotLowerable("repeat has a row several times")
    form = (lowering.recording.shapes[call.output], lead + value.axis, value.joined, value.outer)
    return Value(_repeated(value.node, value.dims, times), *form)


def _repeated_for_rows(lowering: Lowering, call: Call, value: Value, times: Sequence[int]) -> Value:
    """Repeat what depends on no row until there is one for each; the batch comes before the features that it joins."""
    rows, shape = lowering.recording.rows, lowering.recording.shapes[call.output]
    found = joined_axis(shape, rows)
    if found is None or times[found[0]] % rows:
        raise NotLowerable("repeat hides the batch")
    axis, joined = found
    of_a_row = [count // rows if k == axis else count for k, count in enumerate(times)]
    return Value(_repeated(value.node, value.shape[1:], of_a_row), shape, axis, joined)


def _repeated(node: Node, dims: Sequence[int], times: Sequence[int]) -> Node:
    """Return what lies in these dimensions so many times in each, and in as many more before them as there are."""
    own = range(len(times) - len(dims), len(times))
    sizes = dict(zip(own, dims, strict=True)) | {len(times) + k: count for k, count in enumerate(times)}
    result = [axis for k in range(len(times)) for axis in (len(times) + k, k) if axis in sizes]
    return einsum([Term(node, tuple(own))], tuple(result), sizes)


@TABLE.rule("t", "transpose", "permute")
def _permute(lowering: Lowering, call: Call) -> Value:
    value = lowering.value(call.args[0])
    order = _order(call, len(value.shape))
    node = einsum([Term(value.node, value.axes())], tuple(order), value.sizes())
    shape = tuple(value.shape[dim] for dim in order)
    return Value(node, shape, order.index(value.axis), value.joined, value.outer)


def _order(call: Call, count: int) -> list[int]:
    """Return the dimensions of the operand in the order in which the result has them."""
    if call.base_name == "permute":
        return [dim % count for dim in call.args[1]]
    order = list(range(count))
    first, second = (0, 1) if len(call.args) < 3 else (dim % count for dim in call.args[1:3])
    if count > 1:
        order[first], order[second] = order[second], order[first]
    return order
