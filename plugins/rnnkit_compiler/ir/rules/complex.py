"""Operations on complex numbers, as pairs of real ones."""

from collections.abc import Callable
from typing import Any

from rnnkit_compiler.ir.graph import Graph, Node
from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.pairs import Parts, components, pair_of, parts_of
from rnnkit_compiler.ir.rules import fourier, products
from rnnkit_compiler.ir.rules.pointwise import scaled
from rnnkit_compiler.ir.rules.table import Rule, Table
from rnnkit_compiler.ir.units import gather
from rnnkit_compiler.ir.values import Pair, Value
from rnnkit_compiler.trace.recording import Call, Ref

TABLE = Table(cheap=True)
TABLE.rules |= fourier.TABLE.rules

Function = Callable[..., Any]


def pointwise(
    *names: str, operands: tuple[str, ...] = ("self",), table: Table = TABLE
) -> Callable[[Function], Function]:
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

        table.rule(*names)(lower)
        return function

    return enter


def plus(a: Parts, b: Parts) -> Parts:
    """Add."""
    return Parts(a.real + b.real, a.imag + b.imag)


def minus(a: Parts, b: Parts) -> Parts:
    """Subtract."""
    return Parts(a.real - b.real, a.imag - b.imag)


def times(a: Parts, b: Parts) -> Parts:
    """Multiply."""
    return Parts(a.real * b.real - a.imag * b.imag, a.real * b.imag + a.imag * b.real)


def number(graph: Graph, value: complex) -> Parts:
    """Return a literal."""
    return Parts(graph.number(value.real), graph.number(value.imag))


def _scaled(a: Parts, factor: Any) -> Parts:
    if isinstance(factor, complex):
        return times(a, number(a.real.graph, factor))
    return Parts(*(scaled(part, factor) for part in a))


def _square(a: Parts) -> Node:
    return a.real * a.real + a.imag * a.imag


def over(a: Parts, b: Parts) -> Parts:
    """Divide."""
    size = _square(b)
    conjugate = Parts(b.real, -b.imag)
    return Parts(*(part / size for part in times(a, conjugate)))


def turned(size: Node, angle: Node) -> Parts:
    """Return the number of a magnitude and an angle."""
    return Parts(size * angle.cos(), size * angle.sin())


@pointwise("abs")
def magnitude(a: Parts, **_: Any) -> Node:
    """Return the magnitude, with the gradient 0 at the origin."""
    zero = a.real.eq(0) * a.imag.eq(0)  # where torch's derivative is 0
    return zero.where(0, zero.where(1, a.real).hypot(a.imag))


def angle(a: Parts, **_: Any) -> Node:
    """Return the angle from the real axis."""
    return a.imag.atan2(a.real)


pointwise("angle")(angle)
pointwise("add", operands=("self", "other"))(lambda a, b, alpha, **_: plus(a, _scaled(b, alpha)))
pointwise("sub", operands=("self", "other"))(lambda a, b, alpha, **_: minus(a, _scaled(b, alpha)))
pointwise("rsub", operands=("self", "other"))(lambda a, b, alpha, **_: minus(b, _scaled(a, alpha)))
pointwise("mul", operands=("self", "other"))(lambda a, b, **_: times(a, b))
pointwise("div", operands=("self", "other"))(lambda a, b, **_: over(a, b))
pointwise("reciprocal")(lambda a, **_: over(number(a.real.graph, 1), a))
pointwise("addcmul", operands=("self", "tensor1", "tensor2"))(
    lambda a, b, c, value, **_: plus(a, _scaled(times(b, c), value))
)
pointwise("addcdiv", operands=("self", "tensor1", "tensor2"))(
    lambda a, b, c, value, **_: plus(a, _scaled(over(b, c), value))
)
pointwise("lerp", operands=("self", "end", "weight"))(lambda a, b, weight, **_: plus(a, times(weight, minus(b, a))))
pointwise("eq", operands=("self", "other"))(lambda a, b, **_: a.real.eq(b.real) * a.imag.eq(b.imag))
pointwise("ne", operands=("self", "other"))(lambda a, b, **_: a.real.ne(b.real).maximum(a.imag.ne(b.imag)))
pointwise("isnan")(lambda a, **_: a.real.ne(a.real).maximum(a.imag.ne(a.imag)))
pointwise("neg")(lambda a, **_: Parts(-a.real, -a.imag))
pointwise("_conj", "_conj_physical", "conj_physical")(lambda a, **_: Parts(a.real, -a.imag))
pointwise("exp")(lambda a, **_: turned(a.real.exp(), a.imag))
pointwise("log")(lambda a, **_: Parts(magnitude(a).log(), angle(a)))
pointwise("complex", operands=("real", "imag"))(lambda a, b, **_: Parts(a.real, b.real))
pointwise("where", operands=("condition", "self", "other"))(
    lambda c, a, b, **_: Parts(*(c.real.where(x, y) for x, y in zip(a, b, strict=True)))
)
pointwise("masked_fill", operands=("self", "mask", "value"))(
    lambda a, mask, b, **_: Parts(*(mask.real.where(y, x) for x, y in zip(a, b, strict=True)))
)
pointwise("_to_copy")(lambda a, **_: a)


@pointwise("polar", operands=("abs", "angle"))
def _polar(a: Parts, b: Parts, **_: Any) -> Parts:
    # torch's derivative by the magnitude is the number over its own: of a negative one, the other way
    size, sign = a.real, a.real.sign()
    found = turned(size, b.real)
    parts = zip(found, turned(size.stop(), b.real), turned(sign, b.real), strict=True)
    return Parts(*(value.instead(by_angle + size * slope.stop()) for value, by_angle, slope in parts))


@pointwise("sgn")
def _sgn(a: Parts, **_: Any) -> Parts:
    size = magnitude(a)
    zero = size.eq(0)
    return Parts(*(zero.where(0, part / zero.where(1, size)) for part in a))


def _constant(value_of: Callable[[dict[str, Any]], Any]) -> Rule:
    def lower(lowering: Lowering, call: Call) -> Pair:
        shape, axis = lowering.place(call.output, f"{call.name} makes a constant that the projection decides")
        form = shape, axis, 1, 1
        parts = parts_of(lowering, value_of(lowering.arguments(call)), form)
        return Pair(*(Value(part, *form) for part in parts))

    return lower


TABLE.rule("zeros", "zeros_like", "new_zeros", "zero")(_constant(lambda given: 0))
TABLE.rule("ones", "ones_like", "new_ones")(_constant(lambda given: 1))
TABLE.rule("full", "full_like", "new_full")(_constant(lambda given: given["fill_value"]))
TABLE.rule("fill")(_constant(lambda given: given["value"]))


@TABLE.rule("view_as_complex", "rnnkit::view_as_complex")
def _view_as_complex(lowering: Lowering, call: Call) -> Pair:
    value = lowering.value(call.args[0])
    shape, axis = lowering.place(call.output, "view_as_complex hides the batch")
    node, width = value.full(), value.width
    return Pair(*(Value(gather(node, range(k, width, 2)), shape, axis) for k in (0, 1)))


@TABLE.rule("view_as_real", "rnnkit::view_as_real")
def _view_as_real(lowering: Lowering, call: Call) -> Value:
    pair = pair_of(lowering, call.args[0])
    shape, axis = lowering.place(call.output, "view_as_real hides the batch")
    width = pair.real.width
    return Value(gather(pair.node(), [k + part for k in range(width) for part in (0, width)]), shape, axis)


@TABLE.rule("mm", "bmm", "mv")
def _mm(lowering: Lowering, call: Call) -> Pair:
    return _product(lowering, call, *call.args[:2])


@TABLE.rule("addmm", "baddbmm")
def _addmm(lowering: Lowering, call: Call) -> Pair:
    given = lowering.arguments(call)
    left, right = (given[name] for name in (("mat1", "mat2") if "mat1" in given else ("batch1", "batch2")))
    product = _product(lowering, call, left, right)
    bias = _scaled(parts_of(lowering, given["self"], product.real.form), given["beta"])
    total = plus(bias, _scaled(Parts(product.real.node, product.imag.node), given["alpha"]))
    return Pair(*(product.real.like(part) for part in total))


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
