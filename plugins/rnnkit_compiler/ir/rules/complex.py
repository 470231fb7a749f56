"""Operations on complex numbers, as pairs of real ones."""

from collections.abc import Callable
from typing import Any

from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.pairs import Parts, components, pair_of, parts_of
from rnnkit_compiler.ir.rules import fourier, moves, products, reductions, shapes, splits
from rnnkit_compiler.ir.rules.pointwise import scaled
from rnnkit_compiler.ir.rules.table import Rule, Table
from rnnkit_compiler.ir.units import gather
from rnnkit_compiler.ir.values import VIEWS, NotLowerable, Pair, Value
from rnnkit_compiler.trace.recording import Call, Ref

TABLE = Table(cheap=True)
TABLE.rules |= fourier.TABLE.rules

Function = Callable[..., Any]

BY_PARTS = (*VIEWS, "cat", "stack", "sum", "mean", "resolve_conj", *moves.TABLE.rules)
"""Operations that do the same to real and imaginary parts."""


def _pointwise(*names: str, operands: tuple[str, ...] = ("self",)) -> Callable[[Function], Function]:
    """Enter a function from the parts of operands to those of the result, or to a real result."""

    def enter(function: Function) -> Function:
        def lower(lowering: Lowering, call: Call) -> Any:
            given = lowering.arguments(call)
            form = lowering.form(call, f"{call.name} gives a tensor without the batch")
            parts = [parts_of(lowering, given[name], form) for name in operands]
            others = {name: value for name, value in given.items() if name not in operands}
            result = function(*parts, **others)
            if isinstance(result, Parts):
                return Pair(*(Value(node, *form) for node in result))
            return Value(result, *form)

        TABLE.rule(*names)(lower)
        return function

    return enter


def _times(a: Parts, b: Parts) -> Parts:
    return Parts(a.real * b.real - a.imag * b.imag, a.real * b.imag + a.imag * b.real)


def _square(a: Parts) -> Node:
    return a.real * a.real + a.imag * a.imag


def _over(a: Parts, b: Parts) -> Parts:
    size = _square(b)
    conjugate = Parts(b.real, -b.imag)
    return Parts(*(part / size for part in _times(a, conjugate)))


def _turned(size: Node, angle: Node) -> Parts:
    return Parts(size * angle.cos(), size * angle.sin())


@_pointwise("abs")
def _abs(a: Parts, **_: Any) -> Node:
    zero = a.real.eq(0) * a.imag.eq(0)  # where torch's derivative is 0
    return zero.where(0, zero.where(1, a.real).hypot(a.imag))


def _angle(a: Parts, **_: Any) -> Node:
    return a.imag.atan2(a.real)


_pointwise("angle")(_angle)
_pointwise("add", operands=("self", "other"))(
    lambda a, b, alpha, **_: Parts(*(x + scaled(y, alpha) for x, y in zip(a, b, strict=True)))
)
_pointwise("sub", operands=("self", "other"))(
    lambda a, b, alpha, **_: Parts(*(x - scaled(y, alpha) for x, y in zip(a, b, strict=True)))
)
_pointwise("rsub", operands=("self", "other"))(
    lambda a, b, alpha, **_: Parts(*(y - scaled(x, alpha) for x, y in zip(a, b, strict=True)))
)
_pointwise("mul", operands=("self", "other"))(lambda a, b, **_: _times(a, b))
_pointwise("div", operands=("self", "other"))(lambda a, b, **_: _over(a, b))
_pointwise("reciprocal")(lambda a, **_: _over(Parts(a.real.graph.number(1), a.real.graph.number(0)), a))
_pointwise("neg")(lambda a, **_: Parts(-a.real, -a.imag))
_pointwise("_conj", "_conj_physical", "conj_physical")(lambda a, **_: Parts(a.real, -a.imag))
_pointwise("exp")(lambda a, **_: _turned(a.real.exp(), a.imag))
_pointwise("log")(lambda a, **_: Parts(_abs(a).log(), _angle(a)))
_pointwise("complex", operands=("real", "imag"))(lambda a, b, **_: Parts(a.real, b.real))
_pointwise("where", operands=("condition", "self", "other"))(
    lambda c, a, b, **_: Parts(*(c.real.where(x, y) for x, y in zip(a, b, strict=True)))
)
_pointwise("masked_fill", operands=("self", "mask", "value"))(
    lambda a, mask, b, **_: Parts(*(mask.real.where(y, x) for x, y in zip(a, b, strict=True)))
)
_pointwise("_to_copy")(lambda a, **_: a)


@_pointwise("polar", operands=("abs", "angle"))
def _polar(a: Parts, b: Parts, **_: Any) -> Parts:
    # torch's derivative by the magnitude is the number over its own: of a negative one, the other way
    size, sign = a.real, a.real.sign()
    found = _turned(size, b.real)
    parts = zip(found, _turned(size.stop(), b.real), _turned(sign, b.real), strict=True)
    return Parts(*(value.instead(by_angle + size * turned.stop()) for value, by_angle, turned in parts))


@_pointwise("sgn")
def _sgn(a: Parts, **_: Any) -> Parts:
    size = _abs(a)
    zero = size.eq(0)
    return Parts(*(zero.where(0, part / zero.where(1, size)) for part in a))


@_pointwise("pow", operands=("self", "exponent"))
def _pow(a: Parts, b: Parts, **_: Any) -> Parts:
    if b.real.op != "number" or b.imag.attr != (0.0,) or b.real.attr[0] not in (1.0, 2.0, 3.0):
        raise NotLowerable("a power of complex numbers has no counterpart")
    result = a
    for _k in range(int(b.real.attr[0]) - 1):
        result = _times(result, a)
    return result


@_pointwise("tanh")
def _tanh(a: Parts, **_: Any) -> Parts:
    # of x + iy: (tanh x + i tan y) / (1 + i tanh x tan y)
    x, y = a.real.tanh(), a.imag.tan()
    return _over(Parts(x, y), Parts(a.real.graph.number(1), x * y))


@TABLE.rule("zeros", "zeros_like", "new_zeros")
def _zeros(lowering: Lowering, call: Call) -> Pair:
    shape, axis = lowering.place(call.output, f"{call.name} makes a constant that the projection decides")
    return Pair(*(Value(lowering.graph.number(0), shape, axis) for _ in range(2)))


@TABLE.rule("view_as_complex")
def _view_as_complex(lowering: Lowering, call: Call) -> Pair:
    value = lowering.value(call.args[0])
    shape, axis = lowering.place(call.output, "view_as_complex hides the batch")
    node, width = value.full(), value.width
    return Pair(*(Value(gather(node, range(k, width, 2)), shape, axis) for k in (0, 1)))


@TABLE.rule("view_as_real")
def _view_as_real(lowering: Lowering, call: Call) -> Value:
    pair = pair_of(lowering, call.args[0])
    shape, axis = lowering.place(call.output, "view_as_real hides the batch")
    width = pair.real.width
    return Value(gather(pair.node(), [k + part for k in range(width) for part in (0, width)]), shape, axis)


def _by_parts(rule: Rule) -> Rule:
    def lower(lowering: Lowering, call: Call) -> Any:
        dtypes, fill = lowering.recording.dtypes, lowering.arguments(call).get("value")
        if any(dtypes[number].is_floating_point for number in call.reads) or (fill and not isinstance(fill, Ref)):
            raise NotLowerable(f"{call.name} of complex numbers and real ones has no counterpart")
        complex_ = [n for n in dict.fromkeys(call.reads) if dtypes[n].is_complex]
        pairs = {number: pair_of(lowering, Ref(number)) for number in complex_}
        results = []
        for part in (0, 1):
            lowering.values |= {number: pair[part] for number, pair in pairs.items()}
            results.append(rule(lowering, call))
        for number in pairs:
            del lowering.values[number]
        if not call.several:
            return Pair(*results)
        return [None if real is None else Pair(real, imag) for real, imag in zip(*results, strict=True)]

    return lower


for _rules in (shapes.TABLE.rules, splits.TABLE.rules, reductions.TABLE.rules, moves.TABLE.rules):
    for _name, _rule in _rules.items():
        if _name in BY_PARTS:
            TABLE.rule(_name)(_by_parts(moves.or_moved(_rule)))


@TABLE.rule("mm", "bmm", "mv")
def _mm(lowering: Lowering, call: Call) -> Pair:
    return _product(lowering, call, *call.args[:2])


@TABLE.rule("addmm", "baddbmm")
def _addmm(lowering: Lowering, call: Call) -> Pair:
    given = lowering.arguments(call)
    if (given["alpha"], given["beta"]) != (1, 1):
        raise NotLowerable(f"{call.base_name} of complex numbers with factors has no counterpart")
    left, right = (given[name] for name in (("mat1", "mat2") if "mat1" in given else ("batch1", "batch2")))
    product = _product(lowering, call, left, right)
    bias = parts_of(lowering, given["self"], product.real.form)
    return Pair(*(value.like(value.node + part) for value, part in zip(product, bias, strict=True)))


def _product(lowering: Lowering, call: Call, left: Ref, right: Ref) -> Pair:
    """Multiply complex matrices: four real products, less those with a part that is zero."""
    lefts, rights = (_parts_of_factor(lowering, factor) for factor in (left, right))
    (rr, ri), (ir, ii) = ([_real_product(lowering, call, a, b) for b in rights] for a in lefts)
    value = products.product_of(lowering, call, lefts[0], rights[0])
    return Pair(value.like(rr - ii), value.like(ri + ir))


def _real_product(lowering: Lowering, call: Call, left: Ref | None, right: Ref | None) -> Node:
    if left is None or right is None:
        return lowering.graph.number(0)
    return products.product_of(lowering, call, left, right).node


def _parts_of_factor(lowering: Lowering, factor: Ref) -> tuple[Ref, Ref | None]:
    """Return the real and the imaginary part of a factor; None: it is zero."""
    if factor.number in lowering.pairs:
        real, imag = lowering.pairs[factor.number]
        return lowering.entered(real), None if imag.node.is_zero else lowering.entered(imag)
    if not lowering.recording.dtypes[factor.number].is_complex:
        return factor, None
    first, second = components(lowering, factor.number)
    return Ref(first), Ref(second)
