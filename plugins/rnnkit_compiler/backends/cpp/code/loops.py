"""The loops of a contraction: which axes are gone through in which order, and along which one vectors go.

All of that is numbers of the call, so the generated source is the same for every size.
"""

from collections.abc import Iterator, Sequence
from math import ceil
from typing import NamedTuple

from rnnkit_compiler.ir.contraction import equation_of
from rnnkit_compiler.ir.equation import Axes, Equation
from rnnkit_compiler.ir.graph import Node

FOLDS = {"einsum": 0, "amax": 1, "amin": 2}
"""By the node's operation, as `Fold` in headers/contraction.h has them."""

LANES = 8
"""Of a vector, about; the source does not know how wide the machine's are."""

ACROSS = 8
"""Operations that a fold over the lanes of a vector takes."""


class Axis(NamedTuple):
    """An axis: its size, and the step along it in the result and in both operands, in elements."""

    size: int
    out: int
    x: int
    y: int

    @property
    def cost(self) -> int:
        """Operations for a vector along this axis: what lies apart is read number by number."""
        return 1 + sum(LANES * (step > 1) for step in (self.x, self.y))


SINGLE = Axis(1, 0, 0, 0)
"""Where a kind of axis is missing, one of a single element stands for it."""


def description(node: Node) -> list[int]:
    """Return a contraction as the numbers of `Contraction` in headers/contraction.h, as many whatever the sizes are."""
    equation = equation_of(node)
    axes = dict(_axes(equation))
    last = _last(axes, equation)
    outer = [axes[axis] for axis in equation.result if axis != last] or [SINGLE]
    summed = sorted((axes[axis] for axis in equation.summed if axis != last), key=lambda axis: axis.size)
    ordered = [*outer, *(summed or [SINGLE]), axes[last]]
    exchanged = len(node.inputs) == 2 and _is_better_exchanged(outer[-1], axes[last])
    if exchanged:
        ordered = [axis._replace(x=axis.y, y=axis.x) for axis in ordered]
    head = (FOLDS[node.op], int(last in equation.summed), int(exchanged), len(outer), len(summed) or 1)
    ordered += [SINGLE] * (len(axes) + 2 - len(ordered))
    return [*head, *(number for axis in ordered for number in axis)]


def _is_better_exchanged(along: Axis, last: Axis) -> bool:
    """Tell whether operands are not in the order of the fast loops.

    What all lanes read one number of comes first; of two that are read by vectors, what is the same for neighbours.
    """
    if last.x == last.y == 1:
        return along.y == 0
    return last.x == 1 and last.y == 0


def _axes(equation: Equation) -> Iterator[tuple[int, Axis]]:
    tensors = (equation.result, *equation.operands, ())[:3]
    steps = [_steps(axes, equation) for axes in tensors]
    for axis, size in equation.sizes.items():
        yield axis, Axis(size, *(step.get(axis, 0) for step in steps))


def _steps(axes: Axes, equation: Equation) -> dict[int, int]:
    return {axis: equation.count(axes[k + 1 :]) for k, axis in enumerate(axes)}


def _last(axes: dict[int, Axis], equation: Equation) -> int:
    """Choose the axis along which vectors go: the last of the result, or one that is folded."""

    def cost(axis: int) -> float:
        vectors = equation.count(equation.sizes) / axes[axis].size * ceil(axes[axis].size / LANES)
        return vectors * axes[axis].cost + (ACROSS * equation.width if axis in equation.summed else 0)

    candidates: Sequence[int] = (*equation.result[-1:], *equation.summed)
    return min(candidates, key=cost)
