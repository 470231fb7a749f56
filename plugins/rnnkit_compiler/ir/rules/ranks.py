"""Orders along an axis: each element's rank is how many come before it, found by comparing each with each."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnkit_compiler.ir.contraction import Term, einsum
from rnnkit_compiler.ir.equation import Axes
from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.rules.along import Along
from rnnkit_compiler.ir.rules.constants import counted, numbers
from rnnkit_compiler.ir.rules.reductions import along, reduced
from rnnkit_compiler.ir.rules.table import Table
from rnnkit_compiler.ir.values import NotLowerable, Value
from rnnkit_compiler.trace.recording import Call

TABLE = Table(cheap=False)

MOST_COMPARISONS = 1 << 12
"""For each row, of elements with each other, or of ranks with those that are wanted."""


class _Order(NamedTuple):
    """A row along one axis, in order.

    The axes are the row's, and one more of the same size: of what each element is compared with, or of ranks.
    """

    lowering: Lowering
    row: Along
    falls: bool
    """Whether the largest comes first."""

    turns: tuple[int, ...]
    """Of elements that are all equal, the place of the first, of the second, and so on."""

    @property
    def axis(self) -> int:
        """The axis that is put in order."""
        return self.row.along[0]

    @property
    def more(self) -> int:
        """The other axis."""
        return len(self.row.axes)

    def with_more(self, count: int) -> dict[int, int]:
        """Return the sizes of all axes."""
        return {**self.row.sizes, self.more: count}

    def ranks(self) -> Node:
        """Return the rank of each element; equal ones come in turn, and a NaN is larger than any number."""
        row, count = self.row, self.row.sizes[self.axis]
        sizes, every = self.with_more(count), (*row.axes, self.more)
        others = tuple(self.more if axis == self.axis else axis for axis in row.axes)
        here, there = (einsum([Term(row.node.stop(), axes)], every, sizes) for axes in (row.axes, others))
        at, beside = (
            einsum([Term(numbers(self.lowering, self._turn_of_each()), (axis,))], every, sizes)
            for axis in (self.axis, self.more)
        )
        here_nan, there_nan = here.ne(here), there.ne(there)
        equal = here.eq(there).maximum(here_nan * there_nan)
        if self.falls:
            before = there.gt(here).maximum(there_nan * (1 - here_nan))
        else:
            before = there.lt(here).maximum(here_nan * (1 - there_nan))
        ahead = before.maximum(equal * beside.lt(at)).stop()
        return einsum([Term(ahead, every)], row.axes, sizes)

    def _turn_of_each(self) -> list[int]:
        """Return when each of equal elements comes."""
        turns = [*self.turns, *(k for k in range(self.row.count) if k not in self.turns)]
        return [turns.index(k) for k in range(self.row.count)]

    def first(self, count: int, start: int = 0) -> tuple[Node, Node]:
        """Return the elements of `count` ranks from `start` on, in order, and their places; axes as the row's."""
        row, sizes, every = self.row, self.with_more(count), (*self.row.axes, self.more)
        wanted = einsum([Term(counted(self.lowering, count, start), (self.more,))], every, sizes)
        hit = einsum([Term(self.ranks(), row.axes)], every, sizes).eq(wanted)
        number = einsum([Term(row.node, row.axes)], every, sizes)
        place = einsum([Term(counted(self.lowering, row.count), (self.axis,))], every, sizes)
        left: Axes = tuple(self.more if axis == self.axis else axis for axis in row.axes)
        elements, at = (einsum([Term(hit.where(each, 0), every)], left, sizes) for each in (number, place))
        return elements, at


def _order(
    lowering: Lowering, call: Call, dim: Any, falls: bool, wanted: int | None = None, turns: tuple[int, ...] = ()
) -> _Order:
    row = along(lowering, call, dim)
    count = row.sizes[row.along[0]]
    comparisons = row.value.width * max(count, count if wanted is None else wanted)
    if comparisons > MOST_COMPARISONS:
        raise NotLowerable(
            f"{call.base_name} compares each element with each, which {comparisons:,} times for each row is as fast "
            "by torch's own operation"
        )
    return _Order(lowering, row, falls, turns)


def _results(lowering: Lowering, call: Call, found: tuple[Node, Node]) -> list[Value | None]:
    made = zip(call.outputs, found, strict=True)
    return [None if number is None else Value(node, *_form(lowering, call, number)) for number, node in made]


def _form(lowering: Lowering, call: Call, number: int) -> tuple[tuple[int, ...], int, int, int]:
    return lowering.form(call._replace(outputs=(number,)), f"{call.name} hides the batch")


@TABLE.rule("sort")
def _sort(lowering: Lowering, call: Call) -> list[Value | None]:
    given = lowering.arguments(call)
    taken = torch.sort(_equal(lowering, given), descending=given["descending"], stable=bool(given.get("stable")))
    order = _order(lowering, call, given["dim"], given["descending"], turns=tuple(taken.indices.tolist()))
    return _results(lowering, call, order.first(order.row.sizes[order.axis]))


@TABLE.rule("topk")
def _topk(lowering: Lowering, call: Call) -> list[Value | None]:
    given = lowering.arguments(call)
    k = given["k"]
    # a state begins with zeros, where all are equal: torch leaves open whom it takes then, and takes the same each time
    taken = torch.topk(_equal(lowering, given), k, largest=given["largest"], sorted=given["sorted"]).indices
    order = _order(lowering, call, given["dim"], given["largest"], k, tuple(taken.tolist()))
    return _results(lowering, call, order.first(k))


def _equal(lowering: Lowering, given: Mapping[str, Any]) -> Tensor:
    """Return as many equal numbers as there are along the dimension of a call."""
    ref = given["self"]
    return torch.zeros(lowering.shape(ref)[given["dim"]], dtype=lowering.recording.dtypes[ref.number], device="cpu")


@TABLE.rule("kthvalue", "median")
def _kthvalue(lowering: Lowering, call: Call) -> list[Value | None]:
    if not call.several:
        raise NotLowerable(f"{call.name} goes over the batch")
    given = lowering.arguments(call)
    equal = _equal(lowering, given)
    count = len(equal)
    rank = given["k"] - 1 if call.base_name == "kthvalue" else (count - 1) // 2
    taken = int(equal.kthvalue(rank + 1).indices if call.base_name == "kthvalue" else equal.median(0).indices)
    turns = [place for place in range(count) if place != taken]
    turns.insert(rank, taken)
    order = _order(lowering, call, given["dim"], falls=False, turns=tuple(turns))
    row = order.row
    element, place = order.first(1, rank)
    if call.base_name == "median":  # beside a NaN that is it, the first of them
        largest, at = _Order(order.lowering, row, falls=True, turns=()).first(1)
        missing = largest.ne(largest)
        element, place = missing.where(largest, element), missing.where(at, place)
    return [
        None if number is None else reduced(lowering, call, row, each, k)
        for k, (number, each) in enumerate(zip(call.outputs, (element, place), strict=True))
    ]
