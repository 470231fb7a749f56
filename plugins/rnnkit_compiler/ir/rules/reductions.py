"""Reductions over some or all axes of a row, and what is made of them."""

import math
from typing import Any

from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.rules.along import Along
from rnnkit_compiler.ir.rules.constants import counted
from rnnkit_compiler.ir.rules.pointwise import finite
from rnnkit_compiler.ir.rules.table import Table
from rnnkit_compiler.ir.values import NotLowerable, Value
from rnnkit_compiler.trace.recording import Call

TABLE = Table(cheap=False)


def along(lowering: Lowering, call: Call, dims: Any, operand: Any = None) -> Along:
    """Return the operand of a reduction, the first one if none is said, and the dimensions that it goes along.

    Raises:
        NotLowerable: the batch is among them.
    """
    value = lowering.value(call.args[0] if operand is None else operand)
    count = len(value.shape)
    if dims is None or (isinstance(dims, list | tuple) and not dims):
        raise NotLowerable(f"{call.name} goes over the batch")
    chosen = {dim % count for dim in (dims if isinstance(dims, list | tuple) else [dims])}
    if not value.width:
        raise NotLowerable("a tensor has no elements")
    if value.axis in chosen:
        raise NotLowerable(f"{call.name} goes over the batch")
    return Along.dims_of(value, chosen)


def operand(lowering: Lowering, call: Call) -> Along:
    """Return the operand of a reduction whose dimensions are an argument named `dim`."""
    return along(lowering, call, lowering.arguments(call).get("dim"))


def reduced(lowering: Lowering, call: Call, row: Along, node: Node, output: int = 0) -> Value:
    """Return what is left of each row as a result of the call."""
    number = call.outputs[output]
    assert number is not None
    shape = lowering.recording.shapes[number]
    value = row.value
    axis = value.axis - (0 if len(shape) == len(value.shape) else sum(dim < value.axis for dim in row.along))
    return Value(node, shape, axis, value.joined, value.outer)


@TABLE.rule("sum")
def _sum(lowering: Lowering, call: Call) -> Value:
    row = operand(lowering, call)
    return reduced(lowering, call, row, row.sum(row.node))


@TABLE.rule("nansum")
def _nansum(lowering: Lowering, call: Call) -> Value:
    row = operand(lowering, call)
    node = row.node
    return reduced(lowering, call, row, row.sum(node.ne(node).where(0, node)))


@TABLE.rule("mean")
def _mean(lowering: Lowering, call: Call) -> Value:
    row = operand(lowering, call)
    return reduced(lowering, call, row, mean_of(row))


@TABLE.rule("amax")
def _amax(lowering: Lowering, call: Call) -> Value:
    row = operand(lowering, call)
    return reduced(lowering, call, row, row.max(row.node))


@TABLE.rule("amin")
def _amin(lowering: Lowering, call: Call) -> Value:
    row = operand(lowering, call)
    return reduced(lowering, call, row, row.min(row.node))


@TABLE.rule("aminmax")
def _aminmax(lowering: Lowering, call: Call) -> list[Value]:
    row = operand(lowering, call)
    return [
        reduced(lowering, call, row, extreme, k) for k, extreme in enumerate((row.min(row.node), row.max(row.node)))
    ]


@TABLE.rule("max", "min")
def _extreme(lowering: Lowering, call: Call) -> Any:
    """Return the largest along an axis as torch.max does, whose gradient is the first one's that is as large."""
    given = lowering.arguments(call)
    if "other" in given:
        form = lowering.form(call, f"{call.name} gives a tensor without the batch")
        a, b = (lowering.spread(given[name], *form).node for name in ("self", "other"))
        return Value(lowering.graph.pointwise(f"{call.base_name}imum", a, b), *form)
    if not call.several:
        raise NotLowerable(f"{call.name} goes over the batch")
    row = operand(lowering, call)
    node = row.node
    largest = row.max(node) if call.base_name == "max" else row.min(node)
    place = place_of(lowering, row, largest)
    chosen = row.repeat_of(counted(lowering, row.count), row.along).eq(row.repeat(place))
    found = [row.sum(chosen.where(node, 0)), place]
    return [
        None if number is None else reduced(lowering, call, row, each, k)
        for k, (number, each) in enumerate(zip(call.outputs, found, strict=True))
    ]


def place_of(lowering: Lowering, row: Along, extreme: Node) -> Node:
    """Return the place of the first element along an axis that is the extreme; of a NaN, if there is one."""
    node, (axis,) = row.node, row.along
    found = node.eq(row.repeat(extreme)).maximum(node.ne(node)).stop()
    place = row.repeat_of(counted(lowering, row.count), row.along)
    return row.min(found.where(place, float(row.sizes[axis] - 1)))


@TABLE.rule("argmax", "argmin")
def _argmax(lowering: Lowering, call: Call) -> Value:
    row = operand(lowering, call)
    extreme = row.max(row.node) if call.base_name == "argmax" else row.min(row.node)
    return reduced(lowering, call, row, place_of(lowering, row, extreme))


@TABLE.rule("all", "any")
def _all(lowering: Lowering, call: Call) -> Value:
    row = operand(lowering, call)
    true = row.node.ne(0)
    return reduced(lowering, call, row, (row.min(true) if call.base_name == "all" else row.max(true)).stop())


@TABLE.rule("count_nonzero")
def _count_nonzero(lowering: Lowering, call: Call) -> Value:
    row = operand(lowering, call)
    return reduced(lowering, call, row, row.sum(row.node.ne(0)).stop())


@TABLE.rule("var")
def _var(lowering: Lowering, call: Call) -> Value:
    row = operand(lowering, call)
    return reduced(lowering, call, row, variance_of(row, _correction(lowering, call)))


@TABLE.rule("std")
def _std(lowering: Lowering, call: Call) -> Value:
    row = operand(lowering, call)
    return reduced(lowering, call, row, root(variance_of(row, _correction(lowering, call))))


@TABLE.rule("var_mean", "std_mean")
def _var_mean(lowering: Lowering, call: Call) -> list[Value]:
    row = operand(lowering, call)
    variance = variance_of(row, _correction(lowering, call))
    spread = root(variance) if call.base_name == "std_mean" else variance
    return [reduced(lowering, call, row, spread), reduced(lowering, call, row, mean_of(row), output=1)]


def mean_of(row: Along) -> Node:
    """Return the mean along the axes."""
    return _Mean(row).value


def variance_of(row: Along, correction: float) -> Node:
    """Return the variance along the axes, of whose number of elements so much is taken off."""
    if row.count == 1:
        raise NotLowerable("a variance of one unit is rounding alone")
    # The deviations from the mean add up to zero, so no gradient goes by way of the mean.
    centred = row.node - row.repeat(mean_of(row).stop())
    return row.sum(centred * centred) / row.size(-int(correction))


def moments_of(row: Along) -> tuple[Node, Node]:
    """Return mean and variance along the axes, in two loops over the row rather than three.

    Of equal numbers the variance is not zero, but the square of a rounding of them: for what adds to it.
    """
    mean = _Mean(row)
    if row.count == 1:
        raise NotLowerable("a variance of one unit is rounding alone")
    squares = row.sum(mean.deviation * mean.deviation) / row.size()
    variance = (squares - mean.off * mean.off).maximum(0)
    centred = row.node - row.repeat(mean.value)
    # The derivative is that of the squared deviations, in one product for each element.
    return mean.value, variance.instead(row.sum(row.node * centred.stop()) * 2 / row.size())


class _Mean:
    """The mean along the axes, and what it is found by.

    A sum in lanes rounds, so what the deviations from it add up to is put right: where all numbers are equal, they are
    their mean to the last bit, as in torch.
    """

    def __init__(self, row: Along) -> None:
        node = row.value.node
        single = node.width == 1  # one number for all units
        rough = node if single else row.sum(row.node) / row.size()
        self.deviation = row.node - row.repeat(finite(rough).stop())
        """From a mean as the sum rounds it."""
        self.off = row.sum(self.deviation) / row.size()
        """How much that mean is off."""
        self.value = node if single else rough + self.off.stop()


def _correction(lowering: Lowering, call: Call) -> float:
    """Return what is taken off the number of elements: 1 unless an argument says otherwise."""
    given = lowering.arguments(call)["correction"]
    correction = 1.0 if given is None else float(given)
    if correction != int(correction):
        raise NotLowerable("a variance with a correction that is no whole number has no counterpart")
    return correction


def root(squares: Node) -> Node:
    """Return the square root of a sum of squares; at 0, where it has no derivative, torch gives 0."""
    zero = squares.eq(0)
    return zero.where(0, zero.where(1, squares).sqrt())


@TABLE.rule("_softmax")
def _softmax(lowering: Lowering, call: Call) -> Value:
    row = operand(lowering, call)
    return row.value.like(softmax(row))


def softmax(row: Along, scores: Node | None = None) -> Node:
    """Return shares along the axes that add up to one, of other scores than the row's own if there are some."""
    scores = row.node if scores is None else scores
    raised = (scores - row.repeat(row.max(scores).stop())).exp()  # the largest is off, so that none overflows
    return raised / row.repeat(row.sum(raised))


@TABLE.rule("_safe_softmax")
def _safe_softmax(lowering: Lowering, call: Call) -> Value:
    row = operand(lowering, call)
    nothing = row.repeat(row.max(row.node).eq(-math.inf))
    some = nothing.where(0, row.node)  # where there are none, shares would have gradients that are no numbers
    return row.value.like(nothing.where(0, softmax(row, some)))


@TABLE.rule("_log_softmax")
def _log_softmax(lowering: Lowering, call: Call) -> Value:
    row = operand(lowering, call)
    lowered = row.node - row.repeat(row.max(row.node).stop())
    return row.value.like(lowered - row.repeat(row.sum(lowered.exp()).log()))


@TABLE.rule("logsumexp")
def _logsumexp(lowering: Lowering, call: Call) -> Value:
    row = operand(lowering, call)
    top = finite(row.max(row.node)).stop()
    return reduced(lowering, call, row, top + row.sum((row.node - row.repeat(top)).exp()).log())
