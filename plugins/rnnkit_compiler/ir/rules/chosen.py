"""Units that numbers choose: what stands at a place that a row computes, and what is put there.

Every place is compared with the index, so that a kernel does the same for every row. Of whole rows of an invariant
that is a product: of a row of zeros and a one with the matrix.
"""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import torch

from rnnkit_compiler.ir.contraction import Term, einsum, extreme
from rnnkit_compiler.ir.equation import Axes
from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.intervals import BOUNDARIES, Interval
from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.rules.constants import counted
from rnnkit_compiler.ir.rules.moves import moved
from rnnkit_compiler.ir.rules.pools import sums
from rnnkit_compiler.ir.rules.products import blocks_of
from rnnkit_compiler.ir.rules.table import Rule, Table
from rnnkit_compiler.ir.values import NotLowerable, Value
from rnnkit_compiler.trace.recording import Call, Ref

TABLE = Table(cheap=False)

MOST_COMPARISONS = 1 << 14
"""For each row, of indices with places."""


class _Choice(NamedTuple):
    """A tensor, and the places along one of its dimensions that each row names.

    Axes are numbered as the tensor's dimensions; the one of the places that are named comes behind them.
    """

    lowering: Lowering
    value: Value
    dim: int
    named: Node
    """The places."""

    named_axes: Axes
    """Their axes."""

    sizes: Mapping[int, int]

    @property
    def axes(self) -> Axes:
        """The tensor's own."""
        return self.value.axes()

    @property
    def every(self) -> Axes:
        """All axes."""
        return (*self.axes, len(self.axes))

    def of(self, node: Node, axes: Axes) -> Node:
        """Return what has some axes for all of them."""
        return einsum([Term(node, axes)], self.every, self.sizes)

    def mask(self) -> Node:
        """Tell of each place and each that is named whether they are the same, with all axes."""
        place = self.of(counted(self.lowering, self.sizes[self.dim]), (self.dim,))
        return self.of(self.named, self.named_axes).eq(place)

    def taken(self) -> Node:
        """Return what stands at the places that are named, with the axes that a gather has."""
        chosen = self.mask().where(self.of(self.value.full(), self.axes), 0)
        left = tuple(self.every[-1] if axis == self.dim else axis for axis in self.axes)
        return einsum([Term(chosen, self.every)], left, self.sizes)

    def put(self, source: Node, named: Axes, add: bool) -> Node:
        """Return the tensor with other numbers at the places that are named, or with these added there."""
        mask, new, own = self.mask(), self.of(source, named), self.value.full()
        if add:
            return own + einsum([Term(mask.where(new, 0), self.every)], self.axes, self.sizes)
        if self.sizes[self.every[-1]] > 1:  # the last one counts
            order = self.of(counted(self.lowering, self.sizes[self.every[-1]]), (self.every[-1],))
            last = extreme("amax", Term(mask.where(order, -1), self.every), self.axes, self.sizes)
            each, mask = mask, mask * order.eq(self.of(last, self.axes))
        hit = einsum([Term(mask, self.every)], self.axes, self.sizes)
        put = einsum([Term(mask.where(new, 0), self.every)], self.axes, self.sizes)
        if self.sizes[self.every[-1]] > 1:  # torch's gradient is also of those that are overwritten
            put = put.instead(einsum([Term(each.where(new, 0), self.every)], self.axes, self.sizes))
        return hit.where(put, own)


def _along_one_axis(lowering: Lowering, call: Call, given: Mapping[str, Any]) -> _Choice:
    """Return the choice of `gather` and `scatter`, whose index has the dimensions of the tensor."""
    value, index = lowering.by_itself(given["self"]), lowering.by_itself(given["index"])
    if len(value.shape) != len(index.shape) or not value.shape:
        raise NotLowerable(f"{call.name} does not go row by row")
    dim = given["dim"] % len(value.shape)
    others = [axis for axis in value.axes() if axis != dim]
    if dim == value.axis or value.axis != index.axis or any(value.dims[k] != index.dims[k] for k in others):
        raise NotLowerable(f"{call.name} does not go row by row, or leaves out units")
    lowering.dtypes.whole.index(call, given["index"].number, Interval(0, value.dims[dim] - 1))
    named = tuple(len(value.shape) if axis == dim else axis for axis in value.axes())
    return _made(lowering, call, value, dim, index.full(), named, index.dims[dim])


def _made(lowering: Lowering, call: Call, value: Value, dim: int, named: Node, named_axes: Axes, count: int) -> _Choice:
    sizes = value.sizes() | {len(value.shape): count}
    comparisons = value.width * count
    if comparisons > MOST_COMPARISONS:
        raise NotLowerable(
            f"{call.name} of {comparisons:,} comparisons for each row is as fast by torch's own operation"
        )
    return _Choice(lowering, value, dim, named, named_axes, sizes)


def _or_constant(rule: Rule, constant: Rule) -> Rule:
    """Return a rule that is for indices that a row computes, from it and one for constant indices."""

    def lower(lowering: Lowering, call: Call) -> Any:
        given = lowering.arguments(call)
        found = given.get("indices", given.get("index"))
        listed = [found] if isinstance(found, Ref) else found
        known = all(ref is None or lowering.constants.of(ref.number) is not None for ref in listed or ())
        return (constant if known else rule)(lowering, call)

    return lower


def _rule(*names: str, constant: Rule = moved) -> Callable[[Rule], Rule]:
    """Enter a rule for indices that a row computes; by constant ones units move."""

    def enter(rule: Rule) -> Rule:
        TABLE.rule(*names)(_or_constant(rule, constant))
        return rule

    return enter


@_rule("gather")
def _gather(lowering: Lowering, call: Call) -> Value:
    choice = _along_one_axis(lowering, call, lowering.arguments(call))
    return Value(choice.taken(), *lowering.form(call, "gather hides the batch"))


@_rule("scatter")
@_rule("scatter_add", constant=sums)
def _scatter(lowering: Lowering, call: Call) -> Value:
    given = lowering.arguments(call)
    if given.get("reduce") is not None:
        raise NotLowerable(f"{call.name} combines what meets in one unit")
    choice = _along_one_axis(lowering, call, given)
    source = given["src"] if "src" in given else given["value"]
    if not isinstance(source, Ref):
        return choice.value.like(choice.put(lowering.graph.number(float(source)), (), add=False))
    if lowering.shape(source) != lowering.shape(given["index"]):
        raise NotLowerable(f"{call.name} leaves out units of its source")
    new = lowering.by_itself(source)
    return choice.value.like(choice.put(new.full(), choice.named_axes, call.base_name == "scatter_add"))


@_rule("index_select", "embedding")
def _rows(lowering: Lowering, call: Call) -> Value:
    given = lowering.arguments(call)
    if call.base_name == "embedding":
        if given["scale_grad_by_freq"]:
            raise NotLowerable("embedding scales gradients by how often each row is taken, which all rows decide")
        return _rows_of(lowering, call, given["weight"], given["indices"], wraps=False)
    if lowering.is_value(given["self"]) or given["dim"] % max(1, len(lowering.shape(given["self"]))):
        raise NotLowerable(f"{call.name} does not go row by row")
    return _rows_of(lowering, call, given["self"], given["index"], wraps=False)


@_rule("index", "_unsafe_index")
def _index(lowering: Lowering, call: Call) -> Value:
    given = lowering.arguments(call)
    table, indices = given["self"], given["indices"]
    if not lowering.is_value(table) and None not in indices:
        if len(indices) == 1:
            return _rows_of(lowering, call, table, indices[0], wraps=True)
        return _rows_by_several(lowering, call, table, indices)
    choice = _of_each_row(lowering, call, table, indices)
    return Value(choice.taken(), *lowering.form(call, "index hides the batch"))


@_rule("index_put", "_unsafe_index_put")
def _index_put(lowering: Lowering, call: Call) -> Value:
    given = lowering.arguments(call)
    if len(given["indices"]) == 1:
        masked: Value = moved(lowering, call)
        return masked
    choice = _of_each_row(lowering, call, given["self"], given["indices"])
    left = tuple(size for axis, size in enumerate(choice.value.shape) if axis != choice.dim)
    new = lowering.spread(given["values"], left, 0)
    named = tuple(axis for axis in choice.axes if axis != choice.dim)
    return choice.value.like(choice.put(new.full(), named, bool(given["accumulate"])))


def _of_each_row(lowering: Lowering, call: Call, tensor: Ref, indices: Sequence[Ref | None]) -> _Choice:
    """Return the choice of `tensor[arange(B), index]`: one place of each row."""
    by_row = len(indices) == 2 and indices[0] is not None and _numbers_rows(lowering, indices[0])
    if not by_row or indices[1] is None or not lowering.is_value(tensor):
        raise NotLowerable(f"{call.name} takes units by an index that is no constant")
    value, index = lowering.by_itself(tensor), lowering.by_itself(indices[1])
    if value.axis != 0 or len(index.shape) != 1 or len(value.shape) < 2:
        raise NotLowerable(f"{call.name} does not go row by row")
    count = value.dims[1]
    lowering.dtypes.whole.index(call, indices[1].number, Interval(-count, count - 1))
    return _made(lowering, call, value, 1, _from_the_front(index.node, count), (), 1)


def _numbers_rows(lowering: Lowering, ref: Ref) -> bool:
    """Tell whether a tensor numbers the rows of the batch."""
    made = {number: call for call in lowering.recording.calls for number in call.outputs if number is not None}
    call = made.get(ref.number)
    while call is not None and call.base_name in ("detach", "alias", "clone"):
        call = made.get(call.arguments["self"].number)
    if call is None or call.base_name != "arange":
        return False
    given = call.arguments
    rows: bool = given["end"] == lowering.recording.rows
    return rows and given.get("start", 0) == 0 and given.get("step", 1) == 1


def _from_the_front(index: Node, count: int) -> Node:
    """Return an index that counts from the front, as one does that is negative from the back."""
    return index.lt(0).where(index + float(count), index)


def _rows_of(lowering: Lowering, call: Call, table: Ref, ref: Ref, wraps: bool) -> Value:
    """Return the rows of an invariant (V, ...) that are named."""
    shape, index = lowering.shape(table), lowering.by_itself(ref)
    count = shape[0]
    if lowering.is_value(table) or not count:
        raise NotLowerable(f"{call.name} does not go row by row")
    lowering.dtypes.whole.index(call, ref.number, Interval(-count if wraps else 0, count - 1))
    node = _from_the_front(index.node, count) if wraps else index.node
    return Value(
        _rows_by(lowering, call, table, index.like(node)), *lowering.form(call, f"{call.name} hides the batch")
    )


def _rows_by_several(lowering: Lowering, call: Call, table: Ref, indices: Sequence[Ref]) -> Value:
    """Return what stands in an invariant (V, W, ...) at `table[i, j]`: rows of it as (V * W, ...)."""
    shape = lowering.shape(table)
    counts, wide = shape[: len(indices)], shape[len(indices) :]
    if len({lowering.shape(ref) for ref in indices}) > 1 or not all(map(lowering.is_value, indices)) or not prod(shape):
        raise NotLowerable(f"{call.name} takes rows by indices of several shapes, or by constants among others")
    place = lowering.graph.number(0)
    for ref, count in zip(indices, counts, strict=True):
        lowering.dtypes.whole.index(call, ref.number, Interval(-count, count - 1))
        place = place * float(count) + _from_the_front(lowering.by_itself(ref).node, count)
    form, dtype = (prod(counts), *wide), lowering.recording.dtypes[table.number]
    rows = lowering.added.once(torch.ops.aten.reshape.default, (table, list(form)), form, dtype)
    index = lowering.by_itself(indices[0]).like(place)
    return Value(_rows_by(lowering, call, Ref(rows), index), *lowering.form(call, f"{call.name} hides the batch"))


def _rows_by(lowering: Lowering, call: Call, table: Ref, index: Value) -> Node:
    shape = lowering.shape(table)
    count, wide = shape[0], torch.Size(shape[1:]).numel()
    named, place, unit = range(3)
    sizes = {named: index.width, place: count, unit: wide}
    if index.width * count > MOST_COMPARISONS:
        raise NotLowerable(
            f"{call.name} of {index.width * count:,} comparisons for each row is as fast by torch's own operation"
        )

    def of(node: Node, axes: Axes, every: Axes = (named, place)) -> Node:
        return einsum([Term(node, axes)], every, sizes)

    mask = of(index.full(), (named,)).eq(of(counted(lowering, count), (place,)))
    if len(shape) == 2:
        lowering.dtypes.whole.finite.append(lowering.factors.source(table.number))
        return blocks_of(lowering, mask, table, (1, index.width, count, wide))
    every = (named, place, unit)
    rows = of(lowering.value(table).node, (place, unit), every)
    chosen = of(mask, (named, place), every).where(rows, 0)
    return einsum([Term(chosen, every)], (named, unit), sizes)


@TABLE.rule(*BOUNDARIES)
def _bucketize(lowering: Lowering, call: Call) -> Value:
    """Count the boundaries that are smaller; beside a NaN all."""
    given, name = lowering.arguments(call), call.base_name
    value, boundaries = lowering.value(given["self"]), given[BOUNDARIES[name]]
    if lowering.is_value(boundaries) or len(lowering.shape(boundaries)) != 1 or given.get("sorter") is not None:
        raise NotLowerable(f"{name} by boundaries that a row computes, or that are not in order, has no counterpart")
    (count,) = lowering.shape(boundaries)
    sizes, every = {0: value.width, 1: count}, (0, 1)
    number = einsum([Term(value.full(), (0,))], every, sizes)
    boundary = einsum([Term(lowering.value(boundaries).node, (1,))], every, sizes)
    below = number.ge(boundary) if given["right"] or given.get("side") == "right" else number.gt(boundary)
    return value.like(einsum([Term(below.maximum(number.ne(number)).stop(), every)], (0,), sizes))
