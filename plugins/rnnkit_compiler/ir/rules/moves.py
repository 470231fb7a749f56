"""What moves units about, in any way that the numbers in them do not decide: found by moving their numbers instead."""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.rules.table import Rule, Table
from rnnkit_compiler.ir.units import NONE, Units, gather
from rnnkit_compiler.ir.values import MOVES, NotLowerable, Value
from rnnkit_compiler.trace.recording import Call, Ref

TABLE = Table(cheap=True)


@TABLE.rule(*MOVES)
def moved(lowering: Lowering, call: Call) -> Any:
    """Lower a call that moves units: it is made on their numbers, and what comes out says where each comes from."""
    arguments = lowering.arguments(call)
    if arguments.get("accumulate"):
        raise NotLowerable(f"{call.name} adds up what meets in one unit")
    if call.base_name == "index_put" and _is_mask(lowering, call, arguments["indices"]):
        return _masked(lowering, call)
    nodes: list[Node] = []
    chosen = call._replace(
        args=(), kwargs={k: arguments[k] for k in ("index", "indices", "mask") if k in arguments}
    ).reads
    given = {number: _numbered(lowering, call, number, nodes, number in chosen) for number in call.reads}
    filled = _fill(lowering, call, nodes)
    try:
        result = lowering.constants.apply(filled, given)
    except (RuntimeError, IndexError) as error:
        raise NotLowerable(f"{call.name} does not go row by row") from error
    if not call.several:
        return _taken(lowering, call, nodes, call.output, result)
    pieces = zip(call.outputs, result, strict=True)
    return [None if number is None else _taken(lowering, call, nodes, number, piece) for number, piece in pieces]


def or_moved(rule: Rule) -> Rule:
    """Return a rule that takes the units one by one where the rule proper has no better way."""

    def lower(lowering: Lowering, call: Call) -> Any:
        try:
            return rule(lowering, call)
        except NotLowerable as reason:
            try:
                return moved(lowering, call)
            except NotLowerable:
                raise reason from None

    return lower


def _masked(lowering: Lowering, call: Call) -> Value:
    """Overwrite units by one number, where a mask says so."""
    shape, axis = lowering.place(call.output, f"{call.name} hides the batch")
    given = lowering.arguments(call)
    mask, value = (lowering.spread(ref, shape, axis).node for ref in (*given["indices"], given["values"]))
    return Value(mask.where(value, lowering.value(given["self"]).node), shape, axis)


def _is_mask(lowering: Lowering, call: Call, indices: Sequence[Ref | None]) -> bool:
    """Tell whether units are overwritten by one number, where a mask says so."""
    (mask, *others), value = indices, call.args[2]
    same = mask is not None and lowering.shape(mask) == lowering.recording.shapes[call.output]
    is_mask = mask is not None and lowering.recording.dtypes[mask.number] == torch.bool
    return same and is_mask and not others and prod(lowering.shape(value)) == 1


def _numbered(lowering: Lowering, call: Call, number: int, nodes: list[Node], is_index: bool) -> Tensor:
    """Return what stands for a tensor that a call reads: the numbers of its units, from 1 on, or an index itself."""
    if is_index:
        constant = lowering.constants.of(number)
        if constant is None:
            raise NotLowerable(f"{call.name} takes units by an index that is no constant")
        return constant
    first = 1 + sum(node.width for node in nodes)
    value = lowering.by_itself(Ref(number))
    nodes.append(value.full())
    shape = lowering.constants.shape(number)
    return torch.arange(first, first + value.width, dtype=torch.float64).view(shape)


def _fill(lowering: Lowering, call: Call, nodes: list[Node]) -> Call:
    """Return a call that fills with the number of a unit, which is made for what it fills with."""
    value = lowering.arguments(call).get("value")
    if isinstance(value, Ref) or not value:
        return call
    unit = 1 + sum(node.width for node in nodes)
    nodes.append(lowering.graph.number(float(value)))
    names = [argument.name for argument in call.operator._schema.arguments]
    args = [unit if name == "value" else given for name, given in zip(names, call.args, strict=False)]
    kwargs = call.kwargs | ({"value": unit} if "value" in call.kwargs else {})
    return call._replace(args=tuple(args), kwargs=kwargs)


def _taken(lowering: Lowering, call: Call, nodes: list[Node], number: int, result: Tensor) -> Value:
    """Return the units that a result is made of: a few runs of them as pieces, or else one by one."""
    shape, axis = lowering.place(number, f"{call.name} hides the batch")
    if list(result.shape) != lowering.constants.shape(number):
        raise NotLowerable(f"{call.name} does not go row by row")
    units = Units(int(unit) - 1 for unit in result.flatten().tolist())
    joined = lowering.graph.concat(nodes)
    runs = [k for k in range(len(units)) if not k or units[k - 1] + 1 != units[k]]
    if joined.op == "concat" and len(runs) <= len(nodes) + 1 and NONE not in units:
        pieces = zip(runs, [*runs[1:], len(units)], strict=True)
        return Value(
            lowering.graph.concat([lowering.graph.slice(joined, units[a], b - a) for a, b in pieces]), shape, axis
        )
    return Value(gather(joined, units), shape, axis)
