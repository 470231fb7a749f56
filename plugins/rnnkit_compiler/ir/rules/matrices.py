"""Small matrices of each row taken apart: inverses, solutions, factors and determinants, element by element.

Rows are exchanged by comparisons, as LAPACK pivots. The gradients are torch's own formulas, so that nothing is
differentiated through an elimination. What is singular gives no finite numbers; the call then runs as the loop.
"""

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any, NamedTuple

import torch

from rnnkit_compiler.ir.contraction import Term, einsum
from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.rules import products
from rnnkit_compiler.ir.rules.table import Table
from rnnkit_compiler.ir.units import gather
from rnnkit_compiler.ir.values import NotLowerable, Value
from rnnkit_compiler.trace.recording import Call, Ref

TABLE = Table(cheap=False)

MOST_UNITS = 6
"""Of a matrix that is eliminated or substituted in, each way."""

MOST_FACTORED = 8
"""Of one that is factored."""

MOST_CONSTANT = 64
"""Of a matrix of parameters, for sides of more dimensions than one."""

WIDEST = 3
"""Determinants up to which they are polynomials, whose gradients are right of singular matrices too."""

Rows = list[list[Node]]

LEADING, UP, INNER, ACROSS = range(4)


class _Matrix(NamedTuple):
    """Matrices of each row of the batch, `many` of them side by side."""

    node: Node
    many: int
    up: int
    across: int

    @property
    def rows(self) -> Rows:
        """The elements: nodes of as many units as there are matrices."""
        size = self.up * self.across
        places = [range(place, self.many * size, size) for place in range(size)]
        found = [gather(self.node, units) for units in places]
        return [found[k * self.across : (k + 1) * self.across] for k in range(self.up)]

    @property
    def turned(self) -> "_Matrix":
        """The transposed ones."""
        sizes = {LEADING: self.many, UP: self.up, ACROSS: self.across}
        node = einsum([Term(self.node, (LEADING, UP, ACROSS))], (LEADING, ACROSS, UP), sizes)
        return _Matrix(node, self.many, self.across, self.up)

    def times(self, other: "_Matrix") -> "_Matrix":
        """Multiply."""
        sizes = {LEADING: self.many, UP: self.up, INNER: self.across, ACROSS: other.across}
        terms = [Term(self.node, (LEADING, UP, INNER)), Term(other.node, (LEADING, INNER, ACROSS))]
        return _Matrix(einsum(terms, (LEADING, UP, ACROSS), sizes), self.many, self.up, other.across)

    def like(self, node: Node) -> "_Matrix":
        """Return other elements."""
        return self._replace(node=node)


def _matrix(lowering: Lowering, call: Call, ref: Ref, most: int, is_vector: bool = False) -> _Matrix:
    """Return a tensor as matrices; a vector as one column.

    Raises:
        NotLowerable: they are large, or go over the batch.
    """
    value = lowering.by_itself(ref)
    dims = (*value.shape, 1) if is_vector else value.shape
    if len(dims) < 3 or value.axis >= len(dims) - 2:
        raise NotLowerable(f"{call.base_name} does not go row by row")
    if max(dims[-2:]) > most:
        raise NotLowerable(f"{call.base_name} of more than {most} units each way has no counterpart")
    return _Matrix(value.full(), value.width // (dims[-2] * dims[-1]), *dims[-2:])


def _of_rows(rows: Sequence[Sequence[Node]], count: int) -> _Matrix:
    """Return matrices of elements."""
    listed = [node.graph.expand(node, count) for row in rows for node in row]
    joined, size = listed[0].graph.concat(listed), len(listed)
    if count > 1:
        joined = gather(joined, [place * count + k for k in range(count) for place in range(size)])
    return _Matrix(joined, count, len(rows), len(rows[0]))


def _identity(like: _Matrix) -> Rows:
    number = like.node.graph.number
    return [[number(float(i == k)) for k in range(like.up)] for i in range(like.up)]


class _Eliminated(NamedTuple):
    solution: Rows
    pivots: list[Node]
    sign: Node


def _eliminated(a: Rows, b: Rows) -> _Eliminated:
    """Solve a x = b; in turn, the row with the largest element of a column comes first."""
    rows = [[*left, *right] for left, right in zip(a, b, strict=True)]
    count, pivots, sign = len(a), [], a[0][0].graph.number(1)
    for k in range(count):
        for i in range(k + 1, count):
            swaps = rows[i][k].abs().gt(rows[k][k].abs())
            sign = swaps.where(-sign, sign)
            pairs = [*zip(rows[k][k:], rows[i][k:], strict=True)]
            rows[k][k:] = [swaps.where(lower, upper) for upper, lower in pairs]
            rows[i][k:] = [swaps.where(upper, lower) for upper, lower in pairs]
        pivots.append(rows[k][k])
        rows[k][k + 1 :] = [element / pivots[k] for element in rows[k][k + 1 :]]
        for i in range(count):
            if i != k:
                pairs = [*zip(rows[i][k + 1 :], rows[k][k + 1 :], strict=True)]
                rows[i][k + 1 :] = [own - rows[i][k] * other for own, other in pairs]
    return _Eliminated([row[count:] for row in rows], pivots, sign)


def _value(lowering: Lowering, call: Call, node: Node, output: int = 0) -> Value:
    number = call.outputs[output]
    shape, axis = lowering.place(number, f"{call.base_name} hides the batch")
    return Value(node, shape, axis)


def _results(call: Call, *values: Value) -> list[Value | None]:
    return [*values, *(None for _ in call.outputs[len(values) :])]


def _check_square(call: Call, matrix: _Matrix) -> None:
    if matrix.up != matrix.across:
        raise NotLowerable(f"{call.base_name} of a matrix that is not square has no counterpart")


@TABLE.rule("linalg_inv_ex")
def _inv(lowering: Lowering, call: Call) -> list[Value | None]:
    matrix = _matrix(lowering, call, call.args[0], MOST_UNITS)
    solution = _eliminated(matrix.rows, _identity(matrix)).solution
    return _results(call, _value(lowering, call, _inverted(matrix, _of_rows(solution, matrix.many))))


def _inverted(matrix: _Matrix, inverse: _Matrix) -> Node:
    """Return an inverse, with torch's gradient."""
    fixed = inverse.like(inverse.node.stop())
    return inverse.node.instead(-fixed.times(matrix).times(fixed).node)


@TABLE.rule("_linalg_solve_ex")
def _solve(lowering: Lowering, call: Call) -> list[Value | None]:
    given = lowering.arguments(call)
    a, b = given["A"], given["B"]
    if not lowering.is_value(a):
        return _results(call, _solved_by_constant(lowering, call, a, b, given["left"]))
    is_vector = len(lowering.shape(b)) == len(lowering.shape(a)) - 1
    matrix = _matrix(lowering, call, a, MOST_UNITS)
    right = _matrix(lowering, call, b, MOST_UNITS, is_vector)
    found = _solution(matrix, right) if given["left"] else _solution(matrix.turned, right.turned).turned
    return _results(call, _value(lowering, call, found.node))


def _solution(matrix: _Matrix, right: _Matrix) -> _Matrix:
    """Return the solution, with torch's gradient: by the right side the transposed inverse, by the matrix less that."""
    if matrix.many != right.many or matrix.up != right.up:
        raise NotLowerable("a solution for another number of right sides than matrices has no counterpart")
    sides = [[*one, *other] for one, other in zip(right.rows, _identity(matrix), strict=True)]
    both = _eliminated(matrix.rows, sides).solution
    found = _of_rows([row[: right.across] for row in both], matrix.many)
    inverse = _of_rows([row[right.across :] for row in both], matrix.many)
    return found.like(found.node.instead(_slope(matrix, right, found, inverse).node))


def _slope(matrix: _Matrix, right: _Matrix, found: _Matrix, inverse: _Matrix) -> _Matrix:
    change = right.node - matrix.times(found.like(found.node.stop())).node
    return inverse.like(inverse.node.stop()).times(right.like(change))


def _solved_by_constant(lowering: Lowering, call: Call, a: Ref, b: Ref, left: bool) -> Value:
    """Multiply by the inverse of a matrix of parameters, which is made once a call."""
    shape = lowering.shape(a)
    if len(shape) != 2:
        raise NotLowerable(f"{call.base_name} of several matrices of parameters has no counterpart")
    made = Ref(lowering.added.once(torch.ops.aten.linalg_inv.default, (a,), shape, lowering.dtypes.real))
    if len(lowering.shape(b)) == 2:
        return products.product_of(lowering, call, *((made, b) if left else (b, made)))
    inverse, right = (_matrix(lowering, call, ref, MOST_CONSTANT) for ref in (made, b))
    if right.many > 1:
        raise NotLowerable(f"{call.base_name} for several right sides of a row has no counterpart")
    return _value(lowering, call, (inverse.times(right) if left else right.times(inverse)).node)


@TABLE.rule("linalg_cholesky_ex")
def _cholesky(lowering: Lowering, call: Call) -> list[Value | None]:
    given = lowering.arguments(call)
    matrix = _matrix(lowering, call, given["self"], MOST_FACTORED)
    _check_square(call, matrix)
    read = (matrix.turned if given["upper"] else matrix).rows
    # of a symmetric matrix one half is read, and each half has half of the gradient
    rows = [[read[i][k].instead((read[i][k] + read[k][i]) * 0.5) for k in range(i + 1)] for i in range(matrix.up)]
    factor: Rows = []
    for i, row in enumerate(rows):
        factor.append([])
        for k in range(i + 1):
            taken = [factor[i][j] * factor[k][j] for j in range(k)]
            rest = reduce(lambda left, term: left - term, taken, row[k])
            factor[i].append(rest.sqrt() if i == k else rest / factor[k][k])
    zero = matrix.node.graph.number(0)
    found = _of_rows([[*row, *(zero for _ in range(matrix.up - len(row)))] for row in factor], matrix.many)
    return _results(call, _value(lowering, call, (found.turned if given["upper"] else found).node))


def _substituted(matrix: Rows, right: Rows, upper: bool, unit: bool) -> Rows:
    """Solve by a triangle, from the end that has one unknown alone."""
    count, found = len(matrix), dict[int, list[Node]]()
    for i in reversed(range(count)) if upper else range(count):
        row = right[i]
        for k, known in found.items():
            row = [own - matrix[i][k] * other for own, other in zip(row, known, strict=True)]
        found[i] = row if unit else [own / matrix[i][i] for own in row]
    return [found[i] for i in range(count)]


@TABLE.rule("linalg_solve_triangular")
def _solve_triangular(lowering: Lowering, call: Call) -> Value:
    given = lowering.arguments(call)
    matrix, right = (_matrix(lowering, call, given[name], MOST_UNITS) for name in ("self", "B"))
    upper = given["upper"]
    if not given["left"]:
        matrix, right, upper = matrix.turned, right.turned, not upper
    if matrix.many != right.many:
        raise NotLowerable(f"{call.base_name} of other matrices than right sides has no counterpart")
    found = _of_rows(_substituted(matrix.rows, right.rows, upper, given["unitriangular"]), matrix.many)
    return _value(lowering, call, (found if given["left"] else found.turned).node)


@TABLE.rule("cholesky_solve")
def _cholesky_solve(lowering: Lowering, call: Call) -> Value:
    given = lowering.arguments(call)
    right, factor = (_matrix(lowering, call, given[name], MOST_UNITS) for name in ("self", "input2"))
    if factor.many != right.many:
        raise NotLowerable(f"{call.base_name} of other matrices than right sides has no counterpart")
    lower = factor.turned if given["upper"] else factor
    sides = [[*one, *other] for one, other in zip(right.rows, _identity(lower), strict=True)]
    first = _substituted(lower.rows, sides, False, False)
    both = _substituted(lower.turned.rows, first, True, False)
    found = _of_rows([row[: right.across] for row in both], factor.many)
    inverse = _of_rows([row[right.across :] for row in both], factor.many)
    slope = _slope(lower.times(lower.turned), right, found, inverse)
    return _value(lowering, call, found.node.instead(slope.node))


@TABLE.rule("cholesky_inverse")
def _cholesky_inverse(lowering: Lowering, call: Call) -> Value:
    given = lowering.arguments(call)
    factor = _matrix(lowering, call, given["self"], MOST_UNITS)
    lower = factor.turned if given["upper"] else factor
    first = _substituted(lower.rows, _identity(lower), False, False)
    found = _of_rows(_substituted(lower.turned.rows, first, True, False), factor.many)
    return _value(lowering, call, _inverted(lower.times(lower.turned), found))


@TABLE.rule("_linalg_det")
def _det(lowering: Lowering, call: Call) -> list[Value | None]:
    matrix = _matrix(lowering, call, call.args[0], WIDEST)
    _check_square(call, matrix)
    return _results(call, _value(lowering, call, _expanded(matrix.rows)))


def _expanded(rows: Rows) -> Node:
    """Return a determinant, expanded along the first row."""
    if len(rows) == 1:
        return rows[0][0]
    minors = [_expanded([row[:k] + row[k + 1 :] for row in rows[1:]]) for k in range(len(rows))]
    terms = [rows[0][k] * (-minor if k % 2 else minor) for k, minor in enumerate(minors)]
    return reduce(add, terms)


@TABLE.rule("_linalg_slogdet")
def _slogdet(lowering: Lowering, call: Call) -> list[Any]:
    matrix = _matrix(lowering, call, call.args[0], MOST_UNITS)
    _check_square(call, matrix)
    solution, pivots, sign = _eliminated(matrix.rows, _identity(matrix))
    inverse = _of_rows(solution, matrix.many)
    size = reduce(add, (pivot.abs().log() for pivot in pivots))
    sizes = {LEADING: matrix.many, UP: matrix.up, ACROSS: matrix.across}
    terms = [Term(inverse.node.stop(), (LEADING, ACROSS, UP)), Term(matrix.node, (LEADING, UP, ACROSS))]
    slope = einsum(terms, (LEADING,), sizes)
    signs = reduce(lambda one, pivot: one * pivot.sign(), pivots, sign).stop()
    return _results(call, _value(lowering, call, signs), _value(lowering, call, size.instead(slope), 1))
