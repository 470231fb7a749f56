"""Orders along an axis: what has one of the ranks that are wanted is found by comparing the rank of each with them."""

from collections.abc import Mapping, Sequence
from functools import cache
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnkit_compiler.ir.contraction import Term, einsum
from rnnkit_compiler.ir.equation import Axes
from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.orders import Manner, Order, ranks
from rnnkit_compiler.ir.pieces import Row
from rnnkit_compiler.ir.rules.along import Along
from rnnkit_compiler.ir.rules.constants import counted
from rnnkit_compiler.ir.rules.reductions import along, reduced
from rnnkit_compiler.ir.rules.table import Table
from rnnkit_compiler.ir.units import Units
from rnnkit_compiler.ir.values import NotLowerable, Value
from rnnkit_compiler.trace.recording import Call

TABLE = Table(cheap=False)

MOST_COMPARISONS = 1 << 12
"""For each row, of elements with each other, or of ranks with those that are wanted."""


class _Ordered(NamedTuple):
    """A row along one axis, in order.

    The axes are the row's, and one more: of the ranks that are asked for.
    """

    lowering: Lowering
    row: Along
    order: Order

    @property
    def axis(self) -> int:
        """The axis that is put in order."""
        return self.row.along[0]

    def ranks(self) -> Node:
        """Return the rank of each element."""
        sizes = [self.row.sizes[axis] for axis in self.row.axes]
        at = self.row.axes.index(self.axis)
        return ranks(Row(self.row.node, prod(sizes[:at]), sizes[at], prod(sizes[at + 1 :])), self.order)

    def first(self, count: int, start: int = 0) -> tuple[Node, Node]:
        """Return the elements of `count` ranks from `start` on, in order, and their places; axes as the row's."""
        row, more = self.row, len(self.row.axes)
        sizes, every = {**row.sizes, more: count}, (*row.axes, more)
        wanted = einsum([Term(counted(self.lowering, count, start), (more,))], every, sizes)
        hit = einsum([Term(self.ranks(), row.axes)], every, sizes).eq(wanted)
        number = einsum([Term(row.node, row.axes)], every, sizes)
        place = einsum([Term(counted(self.lowering, row.count), (self.axis,))], every, sizes)
        left: Axes = tuple(more if axis == self.axis else axis for axis in row.axes)
        elements, at = (einsum([Term(hit.where(each, 0), every)], left, sizes) for each in (number, place))
        return elements, at


def _ordered(lowering: Lowering, call: Call, order: Order, count: int) -> _Ordered:
    """Put the operand of a call in order, of which elements of `count` ranks are asked for."""
    row = along(lowering, call, lowering.arguments(call)["dim"])
    comparisons = row.value.width * max(row.count, count)
    if comparisons > MOST_COMPARISONS:
        raise NotLowerable(
            f"{call.base_name} of {comparisons:,} comparisons for each row is as fast by torch's own operation"
        )
    return _Ordered(lowering, row, order)


def _results(lowering: Lowering, call: Call, found: tuple[Node, Node]) -> list[Value | None]:
    made = zip(call.outputs, found, strict=True)
    return [None if number is None else Value(node, *_form(lowering, call, number)) for number, node in made]


def _form(lowering: Lowering, call: Call, number: int) -> tuple[tuple[int, ...], int, int, int]:
    return lowering.form(call._replace(outputs=(number,)), f"{call.name} hides the batch")


@TABLE.rule("sort")
def _sort(lowering: Lowering, call: Call) -> list[Value | None]:
    given = lowering.arguments(call)
    equal, stable = _equal(lowering, given), bool(given.get("stable")) or _sorts_stably()
    taken, count = torch.sort(equal, descending=given["descending"], stable=stable).indices.tolist(), len(equal)
    manner = Manner.STABLE if stable else Manner.SORT
    ordered = _ordered(lowering, call, Order(manner, given["descending"], count, _turns(taken, count)), count)
    return _results(lowering, call, ordered.first(count))


@TABLE.rule("topk")
def _topk(lowering: Lowering, call: Call) -> list[Value | None]:
    given = lowering.arguments(call)
    equal, k, largest, in_order = _equal(lowering, given), given["k"], given["largest"], given["sorted"]
    taken = torch.topk(equal, k, largest=largest, sorted=in_order).indices.tolist()
    order = Order(Manner.TOPK if in_order else Manner.TOP, largest, k, _turns(taken, len(equal)))
    return _results(lowering, call, _ordered(lowering, call, order, k).first(k))


def _equal(lowering: Lowering, given: Mapping[str, Any]) -> Tensor:
    """Return as many equal numbers as there are along the dimension of a call."""
    ref = given["self"]
    return torch.zeros(lowering.shape(ref)[given["dim"]], dtype=lowering.recording.dtypes[ref.number], device="cpu")


@cache
def _sorts_stably() -> bool:
    """Tell whether this release of torch has equal elements by their places where it need not."""
    return torch.equal(torch.zeros(64, device="cpu").sort().indices, torch.arange(64, device="cpu"))


def _turns(taken: Sequence[int], count: int) -> Units:
    """Return when each of equal elements comes, of which these were taken, in this order."""
    chosen = {*taken}
    turns = dict(zip([*taken, *(place for place in range(count) if place not in chosen)], range(count), strict=True))
    return Units(turns[place] for place in range(count))


@TABLE.rule("kthvalue", "median")
def _kthvalue(lowering: Lowering, call: Call) -> list[Value | None]:
    if not call.several:
        raise NotLowerable(f"{call.name} goes over the batch")
    given = lowering.arguments(call)
    if call.base_name == "median":
        row, element, place = _middle(lowering, call, len(_equal(lowering, given)))
    else:
        row, element, place = _kth(lowering, call, _equal(lowering, given), given["k"])
    return [
        None if number is None else reduced(lowering, call, row, each, k)
        for k, (number, each) in enumerate(zip(call.outputs, (element, place), strict=True))
    ]


def _kth(lowering: Lowering, call: Call, equal: Tensor, k: int) -> tuple[Along, Node, Node]:
    taken, count = int(equal.kthvalue(k).indices), len(equal)
    places = [place for place in range(count) if place != taken]
    places.insert(k - 1, taken)
    ordered = _ordered(lowering, call, Order(Manner.KTHVALUE, False, k, _turns(places, count)), 1)
    return ordered.row, *ordered.first(1, k - 1)


def _middle(lowering: Lowering, call: Call, count: int) -> tuple[Along, Node, Node]:
    """Return the median: of equal elements by their places; beside a NaN it is that, the first of them."""
    middle, turns = (count - 1) // 2, Units(range(count))
    rising = _ordered(lowering, call, Order(Manner.STABLE, False, middle + 1, turns), 1)
    (element, place), row = rising.first(1, middle), rising.row
    largest, at = rising._replace(order=Order(Manner.STABLE, True, 1, turns)).first(1)
    missing = largest.ne(largest)
    return row, missing.where(largest, element), missing.where(at, place)
