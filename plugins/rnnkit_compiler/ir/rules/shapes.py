"""What changes nothing but the shape or the type."""

from math import prod

import torch

from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.rules.table import Table
from rnnkit_compiler.ir.values import NotLowerable, Value, same_order
from rnnkit_compiler.trace.recording import Call

TABLE = Table(cheap=True)


@TABLE.rule("alias", "clone", "_reshape_alias")
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
    if before == after or (not before.is_floating_point and after.is_floating_point):
        return value
    if after is torch.bool:
        return value.like(value.node.ne(0))
    raise NotLowerable(f"a conversion from {before} to {after} has no counterpart")


@TABLE.rule("view", "_unsafe_view")
def _view(lowering: Lowering, call: Call) -> Value:
    value, result = _reshaped(lowering, call)
    if prod(value.shape[: value.axis]) != 1 or prod(result.shape[: result.axis]) != 1:
        raise NotLowerable(f"{call.name} moves the batch")
    return result


@TABLE.rule("expand")
def _expand(lowering: Lowering, call: Call) -> Value:
    value, result = _reshaped(lowering, call)
    if not same_order(value.features, result.features) and value.width != 1 and value.node.width != 1:
        raise NotLowerable("expand repeats some of the features only")
    return result


@TABLE.rule("unsqueeze", "squeeze")
def _squeeze(lowering: Lowering, call: Call) -> Value:
    value, result = _reshaped(lowering, call)
    if not same_order(value.features, result.features):
        raise NotLowerable(f"{call.name} puts features into another order")
    return result


@TABLE.rule("t", "transpose", "permute")
def _permute(lowering: Lowering, call: Call) -> Value:
    value, result = _reshaped(lowering, call)
    # features of equal size may have changed places
    moved = [dim for dim in _order(call, len(value.shape)) if dim != value.axis and value.shape[dim] != 1]
    if not same_order(value.features, result.features) or moved != sorted(moved):
        raise NotLowerable(f"{call.name} puts features into another order")
    return result


def _reshaped(lowering: Lowering, call: Call) -> tuple[Value, Value]:
    """Return the operand, and its node in the shape of the result."""
    value = lowering.value(call.args[0])
    shape, axis = lowering.place(call.output, f"{call.name} hides the batch")
    return value, Value(value.node, shape, axis)


def _order(call: Call, count: int) -> list[int]:
    """Return the dimensions of the operand in the order in which the result has them."""
    if call.base_name == "permute":
        return [dim % count for dim in call.args[1]]
    order = list(range(count))
    first, second = (0, 1) if len(call.args) < 3 else (dim % count for dim in call.args[1:3])
    if count > 1:
        order[first], order[second] = order[second], order[first]
    return order
