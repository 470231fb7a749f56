"""Contractions: sums of products along axes within a row, and the largest or smallest along them.

One kind of node reorders a row's elements, repeats them, adds them up along some of its axes, and multiplies two rows
by each other in any way that an equation of einsum says; see `equation`. Its derivative is of the same kind, with the
operands exchanged. What a simpler node can do is left to that: sums over a whole row, products element by element.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from rnnkit_compiler.ir.equation import Axes, Equation, parse, refined
from rnnkit_compiler.ir.graph import Graph, Node, unexpanded


class Term(NamedTuple):
    """An operand, and its axes."""

    node: Node
    axes: Axes


class Sum(NamedTuple):
    """A sum of products of terms, one or two of them."""

    terms: list[Term]
    result: Axes
    sizes: Mapping[int, int]

    @property
    def graph(self) -> Graph:
        """The graph of the terms."""
        return self.terms[0].node.graph

    @property
    def equation(self) -> Equation:
        """The equation."""
        return Equation(tuple(term.axes for term in self.terms), self.result, self.sizes)

    def part(self, terms: Iterable[Term], result: Axes) -> Node:
        """Return another sum of axes of the same sizes."""
        return einsum([*terms], result, self.sizes)


def einsum(terms: Sequence[Term], result: Axes, sizes: Mapping[int, int]) -> Node:
    """Return the sum of products that an equation says, of one operand or two.

    Where all elements are the same it may be a single number.
    """
    graph = terms[0].node.graph
    factor, wide = graph.number(1), []
    for node, axes in terms:
        single = unexpanded(node)
        if single.width == 1:
            factor = single * factor
        else:
            wide.append(Term(single, _several(axes, sizes)))
    lost = {axis for term in terms for axis in term.axes}.difference(result, *(term.axes for term in wide))
    factor = factor * _size(graph, lost, sizes)
    if not wide:
        return factor
    whole = Sum(wide, _several(result, sizes), sizes)
    if whole.equation.width <= wide[0].node.width:  # the fewer elements are multiplied
        return _simplest(whole) * factor
    return _simplest(whole._replace(terms=[Term(wide[0].node * factor, wide[0].axes), *wide[1:]]))


def multiplied(a: Node, b: Node) -> Node:
    """Multiply element by element; where both are repeated, as in an outer product, neither has to be whole before."""
    if a.width == b.width and _is_repeated(a) and _is_repeated(b):
        return einsum([Term(a, (0,)), Term(b, (0,))], (0,), {0: a.width})
    return a * b


def extreme(op: str, term: Term, result: Axes, sizes: Mapping[int, int]) -> Node:
    """Return the largest or smallest along the axes that the result lacks; `op` is "amax" or "amin"."""
    node, graph = unexpanded(term.node), term.node.graph
    equation = Equation((term.axes,), result, sizes).normal()
    if node.width == 1 or not equation.summed:
        return einsum([term], result, sizes)
    if not equation.result:
        return graph.max(node) if op == "amax" else graph.min(node)
    return _make(op, [node], equation)


def gradients(node: Node, gradient: Node) -> list[Node]:
    """Return the gradient of each operand of a contraction."""
    equation = equation_of(node)
    own, sizes = Term(gradient, equation.result), equation.sizes
    terms = list(map(Term, node.inputs, equation.operands))
    if node.op == "einsum":
        return [einsum([own, *terms[:k], *terms[k + 1 :]], term.axes, sizes) for k, term in enumerate(terms)]
    ((operand, axes),) = terms
    hit = operand.eq(einsum([own._replace(node=node)], axes, sizes))
    hits = einsum([Term(hit, axes)], equation.result, sizes)  # equal ones share it, as in torch
    return [hit * einsum([own._replace(node=gradient / hits)], axes, sizes)]


def equation_of(node: Node) -> Equation:
    """Return the equation of a contraction."""
    return parse(*node.attr)


def _make(op: str, nodes: Sequence[Node], equation: Equation) -> Node:
    equation = equation.normal()
    sizes = tuple(equation.sizes[axis] for axis in sorted(equation.sizes))
    return nodes[0].graph.make(op, nodes, equation.width, str(equation), sizes)


def _several(axes: Axes, sizes: Mapping[int, int]) -> Axes:
    """Leave out axes of a single element."""
    return tuple(axis for axis in axes if sizes[axis] > 1)


def _size(graph: Graph, axes: Iterable[int], sizes: Mapping[int, int]) -> Node:
    """Return how many elements axes have, as a number."""
    size = graph.number(1)
    for axis in sorted(axes):
        size = size * graph.size(sizes[axis]) if sizes[axis] > 1 else size
    return size


def _simplest(whole: Sum) -> Node:
    """Return a sum of terms of several elements each; by simpler ones, where it comes apart into these."""
    terms, result, equation = whole.terms, whole.result, whole.equation
    for k, term in enumerate(terms if len(terms) > 1 else ()):  # what one of them has alone is added up before
        kept = tuple(axis for axis in term.axes if axis in result or axis in terms[1 - k].axes)
        if kept != term.axes:
            fewer = [*terms[:k], Term(whole.part([term], kept), kept), *terms[k + 1 :]]
            return whole.part(fewer, result)
    if equation.repeated and (len(terms) > 1 or equation.summed):
        kept = tuple(axis for axis in result if axis not in equation.repeated)
        return whole.part([Term(whole.part(terms, kept), kept)], result)
    return _of_one(whole) if len(terms) == 1 else _of_two(whole)


def _of_one(whole: Sum) -> Node:
    ((node, axes),) = whole.terms
    if axes == whole.result:
        return node
    if not whole.result:
        return whole.graph.sum(node, node.width)
    seen = _through_views(whole)
    if seen is not None:
        return seen
    if whole.equation.summed and node.op == "mul" and any(map(_is_repeated, node.inputs)):
        return whole.part([Term(operand, axes) for operand in node.inputs], whole.result)
    return _make("einsum", [node], whole.equation)


def _of_two(whole: Sum) -> Node:
    (first, axes), second = whole.terms
    if not whole.result:  # both have all axes
        return whole.graph.sum(first * whole.part([second], axes), first.width)
    width = whole.equation.width
    if not whole.equation.summed and any(n.width == width and not _is_repeated(n) for n, _ in whole.terms):
        # one has every element, and the other one is repeated
        one, other = (whole.part([term], whole.result) for term in whole.terms)
        return one * other
    seen = _through_views(whole)
    return _make("einsum", [term.node for term in whole.terms], whole.equation) if seen is None else seen


def _is_repeated(node: Node) -> bool:
    return node.op == "einsum" and equation_of(node).is_view and node.width > node.inputs[0].width


def _through_views(whole: Sum) -> Node | None:
    """Read what a term is a view of in place of the view; None: none is, or they cut the elements elsewhere."""
    for k, (node, axes) in enumerate(whole.terms):
        inner = equation_of(node) if node.op == "einsum" else None
        if inner is None or not inner.is_view:
            continue
        cut = refined([inner.sizes[axis] for axis in inner.result], [whole.sizes[axis] for axis in axes])
        if cut is None:
            continue
        sizes = dict(enumerate(cut, 1 + max(whole.sizes)))
        inside, outside = _pieces(inner.result, inner.sizes, sizes), _pieces(axes, whole.sizes, sizes)
        terms = [Term(n, _in_pieces(own, outside)) for n, own in whole.terms]
        terms[k] = Term(node.inputs[0], _in_pieces(inner.operands[0], inside))
        result = _in_pieces(whole.result, outside)
        lost = set(sizes).difference(result, *(term.axes for term in terms))
        sizes |= whole.sizes
        return einsum(terms, result, sizes) * _size(whole.graph, lost, sizes)
    return None


def _pieces(axes: Axes, sizes: Mapping[int, int], cut: Mapping[int, int]) -> dict[int, Axes]:
    """Map each of the axes to those that it is cut into."""
    left, pieces = list(cut), {}
    for axis in axes:
        own: list[int] = []
        count = 1
        while count < sizes[axis]:
            own.append(left.pop(0))
            count *= cut[own[-1]]
        pieces[axis] = tuple(own)
    return pieces


def _in_pieces(axes: Axes, pieces: Mapping[int, Axes]) -> Axes:
    return tuple(piece for axis in axes for piece in pieces.get(axis, (axis,)))
