"""The flow: marks on the elements of tensors, carried from operation to operation of a recording.

A mark is K whole numbers. Where an element is made of several, it has the largest of their numbers. So what is carried
is proven for every value that the tensors may have: an operation that is not known mixes all that it reads.
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from rnnkit_compiler.structure.kinds import PRODUCTS, Kind, kind_of
from rnnkit_compiler.trace.recording import Call, Recording, Ref

ROWS = 2
"""Rows of the batch in a flow: not one, which torch would take for a dimension to be squeezed or repeated."""


class Flow:
    """Carries marks through a recording.

    Args:
        recording: of a step.
        given: the marks of the tensors that have some before the first operation, each (*shape, K), by number.
        nothing: (K,) the mark of an element that depends on nothing; the least.
    """

    def __init__(self, recording: Recording, given: Mapping[int, Tensor], nothing: Tensor) -> None:
        self.recording = recording
        self.nothing = nothing
        self.marks = dict(given)

    def run(self, calls: Sequence[Call]) -> None:
        """Carry the marks through these calls."""
        for call in calls:
            for number, marks in zip(call.outputs, self.through(call), strict=True):
                if number is not None:
                    self.marks[number] = marks

    def shape(self, number: int) -> tuple[int, ...]:
        """Return the shape of a tensor, with ROWS rows."""
        shape: tuple[int, ...] = concrete(self.recording.shapes[number], self.recording.rows)
        return shape

    def of(self, number: int) -> Tensor:
        """Return the marks of a tensor, (*shape, K)."""
        if number in self.marks:
            return self.marks[number]
        return self.nothing.expand(*self.shape(number), len(self.nothing))

    def through(self, call: Call) -> list[Tensor]:
        """Return the marks of the results of a call."""
        kind = kind_of(call)
        if kind is Kind.FRESH or not any(number in self.marks for number in call.reads):
            return [self.nothing.expand(*shape, len(self.nothing)) for shape in self._shapes(call)]
        if kind is Kind.MOVE:
            return self._moved(call)
        made = {Kind.POINTWISE: self._pointwise, Kind.PRODUCT: self._product, Kind.REDUCTION: self._reduced}
        made[Kind.ALONG] = self._along
        marks = made[kind](call) if kind in made else None
        if marks is None:
            return self._mixed(call)
        fits = [tuple(marks.shape[:-1]) == shape for shape in self._shapes(call)]
        return [marks if fit else mixed for fit, mixed in zip(fits, self._mixed(call), strict=True)]

    def operand(self, argument: Any) -> Tensor:
        """Return the marks of an argument: of a tensor, or of a number."""
        return self.of(argument.number) if isinstance(argument, Ref) else self.nothing

    def _shapes(self, call: Call) -> list[tuple[int, ...]]:
        return [() if number is None else self.shape(number) for number in call.outputs]

    def _moved(self, call: Call) -> list[Tensor]:
        """Run the operation on the numbers of the elements, and take their marks along."""
        result, starts = self.moved_numbers(call)
        marks = torch.cat(
            [self.nothing.unsqueeze(0), *(self.of(number).reshape(-1, len(self.nothing)) for number in starts)]
        )
        return [marks[places] for places in result]

    def moved_numbers(self, call: Call) -> tuple[list[Tensor], dict[int, int]]:
        """Run an operation that moves elements on their numbers.

        Returns:
            Its results, and for each operand the number of its first element; 0 is what is put beside them.
        """
        starts, numbers, start = {}, {}, 1
        for number in dict.fromkeys(call.reads):
            size = prod(self.shape(number))
            starts[number], numbers[number] = start, torch.arange(start, start + size).view(self.shape(number))
            start += size
        result = _run_on(call, numbers, self.recording.rows)
        return list(result) if call.several else [result], starts

    def _pointwise(self, call: Call) -> Tensor:
        return joined([self.of(number) for number in call.reads])

    def _product(self, call: Call) -> Tensor:
        added, left, right = self.factors(call)
        product = torch.maximum(left, right)
        return product if added is None else joined([added, product])

    def factors(self, call: Call) -> tuple[Tensor | None, Tensor, Tensor]:
        """Return the marks of what is added to a product, and of each factor, joined along what is summed over."""
        names, given = PRODUCTS[call.base_name], call.arguments
        added, one, other = (None if name is None else self.operand(given[name]) for name in names)
        assert one is not None
        assert other is not None
        if other.ndim == 2:  # a vector
            return added, one.amax(-2), other.amax(0).expand_as(one.amax(-2))
        left, right = one.amax(-2, keepdim=True), other.amax(-3, keepdim=True)
        left, right = torch.broadcast_tensors(left, right)  # type: ignore[no-untyped-call]
        return added, left, right

    def _reduced(self, call: Call) -> Tensor:
        given = call.arguments
        marks = self.operand(given.get("self"))
        dims = _dims(given.get("dim"), marks.ndim - 1)
        return marks.amax(dims, keepdim=bool(given.get("keepdim"))) if dims else marks

    def _along(self, call: Call) -> Tensor:
        given = call.arguments
        if call.base_name == "native_layer_norm":
            marks = self.operand(given["input"])
            dims = list(range(marks.ndim - 1 - len(given["normalized_shape"]), marks.ndim - 1))
            beside = [self.operand(given[name]) for name in ("weight", "bias")]
            return joined([marks.amax(dims, keepdim=True).expand_as(marks), *beside])
        marks = self.operand(given["self"])
        return marks.amax(given["dim"] % (marks.ndim - 1), keepdim=True).expand_as(marks)

    def _mixed(self, call: Call) -> list[Tensor]:
        """Let every element be made of all."""
        all_ = [self.of(number).reshape(-1, len(self.nothing)) for number in call.reads]
        mark = torch.cat([self.nothing.unsqueeze(0), *all_]).amax(0)
        return [mark.expand(*shape, len(mark)) for shape in self._shapes(call)]


def concrete(value: Any, rows: int) -> Any:
    """Put ROWS in the place of the recording's number of rows, in sizes and in lists of them."""
    if type(value) is int and value and value % rows == 0:
        return value // rows * ROWS
    if isinstance(value, tuple | list) and not isinstance(value, Ref):
        return type(value)(concrete(item, rows) for item in value)
    return value


def joined(marks: Sequence[Tensor]) -> Tensor:
    """Join marks element by element, broadcast as torch broadcasts their tensors."""
    rank = max(mark.ndim for mark in marks)
    total: Tensor | None = None
    for mark in marks:
        aligned = mark.reshape(*[1] * (rank - mark.ndim), *mark.shape)
        total = aligned if total is None else torch.maximum(total, aligned)
    assert total is not None
    return total


def _dims(dim: Any, rank: int) -> list[int]:
    """Return the dimensions that are reduced; none named: all."""
    if dim is None or dim == []:
        return list(range(rank))
    return [d % rank for d in (dim if isinstance(dim, tuple | list) else [dim])] if rank else []


def _run_on(call: Call, tensors: Mapping[int, Tensor], rows: int) -> Any:
    """Make a call on other tensors, with ROWS rows."""

    def argument(value: Any) -> Any:
        if isinstance(value, Ref):
            return tensors[value.number]
        if isinstance(value, tuple | list):
            return [argument(item) for item in value]
        return concrete(value, rows)

    if call.base_name in ("_to_copy", "clone", "alias", "detach", "contiguous"):
        return argument(call.args[0])
    if call.base_name in ("view", "_unsafe_view", "_reshape_alias"):  # the next tensor may have other strides
        return argument(call.args[0]).reshape(argument(call.args[1]))
    if call.base_name == "constant_pad_nd":
        return torch.constant_pad_nd(argument(call.args[0]), argument(call.args[1]), 0)
    return call.operator(*map(argument, call.args), **{name: argument(value) for name, value in call.kwargs.items()})
