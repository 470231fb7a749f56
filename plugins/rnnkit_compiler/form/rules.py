"""How aten's operations read in the intermediate form, a rule each: from the call to the value that it gives."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from rnnkit_compiler.form.graph import Node
from rnnkit_compiler.form.lowering import Lowering
from rnnkit_compiler.form.values import NotLowerable, Value, batch_axis, same_order
from rnnkit_compiler.trace.recording import Call, Ref

Rule = Callable[[Lowering, Call], Any]
RULES: dict[str, Rule] = {}
CHEAP: set[str] = set()
"""Operations that may as well be made at every step: pointwise ones and views."""


def rule(*names: str, cheap: bool = True) -> Callable[[Rule], Rule]:
    """Enter a rule for operations of these names."""

    def enter(function: Rule) -> Rule:
        for name in names:
            RULES[name] = function
            if cheap:
                CHEAP.add(name)
        return function

    return enter


def is_cheap(call: Call) -> bool:
    """Tell whether a call of the input alone is not worth to be made ahead."""
    return call.operator._schema.name.removeprefix("aten::") in CHEAP


# Pointwise operations: a function from nodes, and other arguments by name, to a node.


def _pointwise(
    *names: str, operands: Sequence[str] = ("self",)
) -> Callable[[Callable[..., Node]], Callable[..., Node]]:
    def enter(function: Callable[..., Node]) -> Callable[..., Node]:
        def lower(lowering: Lowering, call: Call) -> Value:
            given = lowering.arguments(call)
            (number,) = [number for number in call.outputs if number is not None][:1]
            shape = lowering.recording.shapes[number]
            axis = batch_axis(shape, lowering.recording.rows)
            if axis is None:
                raise NotLowerable(f"{call.name} gives a tensor without the batch")
            values = [
                None if given[name] is None else lowering.spread(given.pop(name), shape, axis).node for name in operands
            ]
            others = {key: value for key, value in given.items() if key not in operands}
            return Value(function(*values, **others), shape, axis)

        rule(*names)(lower)
        return function

    return enter


def _simple(op: str) -> Callable[..., Node]:
    return lambda *nodes, **_: nodes[0].graph.pointwise(op, *nodes)


def _scaled(node: Node, alpha: Any) -> Node:
    return node if alpha == 1 else node * float(alpha)


for name in (
    *("neg", "sigmoid", "tanh", "exp", "expm1", "exp2", "log", "log1p", "log2", "log10", "sqrt", "rsqrt", "sin", "cos"),
    *("tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "erf", "erfc", "abs", "sign", "floor"),
    *("ceil", "trunc", "relu"),
):
    _pointwise(name)(_simple(name))
for name in ("maximum", "minimum", "eq", "ne", "lt", "le", "gt", "ge", "mul", "atan2"):
    _pointwise(name, operands=("self", "other"))(_simple(name))
_pointwise("sgn")(_simple("sign"))
_pointwise("reciprocal")(lambda a, **_: 1 / a)
_pointwise("square")(lambda a, **_: a * a)
_pointwise("logical_not", "bitwise_not")(lambda a, **_: a.eq(0))
_pointwise("logical_and", "bitwise_and", "__and__", operands=("self", "other"))(lambda a, b, **_: a.ne(0) * b.ne(0))
_pointwise("logical_or", "bitwise_or", "__or__", operands=("self", "other"))(
    lambda a, b, **_: a.ne(0).maximum(b.ne(0)).stop()
)
_pointwise("isnan")(lambda a, **_: a.ne(a))
_pointwise("add", operands=("self", "other"))(lambda a, b, alpha, **_: a + _scaled(b, alpha))
_pointwise("sub", operands=("self", "other"))(lambda a, b, alpha, **_: a - _scaled(b, alpha))
_pointwise("rsub", operands=("self", "other"))(lambda a, b, alpha, **_: b - _scaled(a, alpha))
_pointwise("where", operands=("condition", "self", "other"))(lambda c, a, b, **_: c.where(a, b))
_pointwise("lerp", operands=("self", "end", "weight"))(lambda a, b, w, **_: a + w * (b - a))
_pointwise("addcmul", operands=("self", "tensor1", "tensor2"))(lambda a, b, c, value, **_: a + _scaled(b * c, value))
_pointwise("addcdiv", operands=("self", "tensor1", "tensor2"))(lambda a, b, c, value, **_: a + _scaled(b / c, value))
_pointwise("silu")(lambda a, **_: a * a.sigmoid())
_pointwise("mish")(lambda a, **_: a * _softplus(a, 1, 20).tanh())
_pointwise("softplus")(lambda a, beta, threshold, **_: _softplus(a, beta, threshold))


@_pointwise("div", operands=("self", "other"))
def _div(a: Node, b: Node, rounding_mode: str | None = None, **_: Any) -> Node:
    if rounding_mode is None:
        return a / b
    return {"floor": (a / b).floor, "trunc": (a / b).trunc}[rounding_mode]()


@_pointwise("pow", operands=("self", "exponent"))
def _pow(a: Node, b: Node, **_: Any) -> Node:
    powers: dict[Any, Callable[[], Node]] = {
        0.5: a.sqrt,
        1.0: lambda: a,
        2.0: lambda: a * a,
        3.0: lambda: a * a * a,
        -0.5: a.rsqrt,
        -1.0: lambda: 1 / a,
    }
    exponent = b.attr[0] if b.op == "number" else None
    return powers[exponent]() if exponent in powers else a.pow(b)


@_pointwise("round")
def _round(a: Node, decimals: int = 0, **_: Any) -> Node:
    if decimals:
        raise NotLowerable("round with decimals has no counterpart")
    return a.graph.pointwise("round", a)


def _between(a: Node, low: Any, high: Any, closed: bool) -> Node:
    """Cut off at bounds; the gradient passes at a bound itself if `closed`."""
    below, above = ("lt", "gt") if closed else ("le", "ge")
    result = a
    if high is not None:
        result = getattr(a, above)(high).where(high, result)
    if low is not None:
        result = getattr(a, below)(low).where(low, result)
    return result


@_pointwise("clamp", operands=("self", "min", "max"))
def _clamp(a: Node, low: Node | None, high: Node | None, **_: Any) -> Node:
    for bound in (low, high):
        if bound is not None and bound.op != "number":
            raise NotLowerable("clamp by tensors has no counterpart")
    if low is not None and high is not None and low.attr[0] > high.attr[0]:
        low = high
    return _between(a, low, high, closed=True)


_pointwise("clamp_min", operands=("self", "min"))(lambda a, low, **_: _clamp(a, low, None))
_pointwise("clamp_max", operands=("self", "max"))(lambda a, high, **_: _clamp(a, None, high))
_pointwise("hardtanh")(lambda a, min_val, max_val, **_: _between(a, min_val, max_val, closed=False))
_pointwise("relu6")(lambda a, **_: _between(a, 0.0, 6.0, closed=False))
_pointwise("hardsigmoid")(lambda a, **_: a.le(-3).where(0, a.ge(3).where(1, (a + 3) / 6)))
_pointwise("hardswish")(lambda a, **_: a.le(-3).where(0, a.ge(3).where(a, a * (a + 3) / 6)))
_pointwise("leaky_relu")(lambda a, negative_slope, **_: a.gt(0).where(a, a * float(negative_slope)))
_pointwise("threshold")(lambda a, threshold, value, **_: a.le(threshold).where(value, a))


@_pointwise("elu")
def _elu(a: Node, alpha: Any, scale: Any, input_scale: Any, **_: Any) -> Node:
    negative = a.gt(0).where(0, a)  # so that the branch not taken does not overflow
    below = _scaled(_scaled(negative, input_scale).expm1(), alpha * scale)
    return a.gt(0).where(_scaled(a, scale), below)


def _softplus(a: Node, beta: Any, threshold: Any) -> Node:
    scaled = _scaled(a, beta)
    linear = scaled.gt(threshold)
    bent = linear.where(0, scaled).exp().log1p()
    return linear.where(a, bent if beta == 1 else bent / float(beta))


@_pointwise("gelu")
def _gelu(a: Node, approximate: str, **_: Any) -> Node:
    if approximate == "tanh":
        return a * 0.5 * (((a + a * a * a * 0.044715) * 0.7978845608028654).tanh() + 1)
    return a * 0.5 * ((a * 0.7071067811865476).erf() + 1)


@rule("log_sigmoid_forward")
def _log_sigmoid(lowering: Lowering, call: Call) -> list[Any]:
    value = lowering.value(call.args[0])
    a = value.node
    return [value.like(a.minimum(0) - (-a.abs()).exp().log1p()), None]


@rule("logaddexp")
def _logaddexp(lowering: Lowering, call: Call) -> Value:
    shape = lowering.recording.shapes[call.outputs[0] or 0]
    axis = batch_axis(shape, lowering.recording.rows)
    if axis is None:
        raise NotLowerable("logaddexp gives a tensor without the batch")
    a, b = (lowering.spread(argument, shape, axis).node for argument in call.args)
    top = a.maximum(b).stop()
    return Value(top + ((a - top).exp() + (b - top).exp()).log(), shape, axis)


# What changes nothing but the shape.


@rule("alias", "clone", "contiguous", "lift_fresh", "_reshape_alias")
def _same(lowering: Lowering, call: Call) -> Value:
    return lowering.value(call.args[0])


@rule("detach")
def _detach(lowering: Lowering, call: Call) -> Value:
    value = lowering.value(call.args[0])
    return value.like(value.node.stop())


@rule("_to_copy")
def _to_copy(lowering: Lowering, call: Call) -> Value:
    value = lowering.value(call.args[0])
    before, after = (lowering.recording.dtypes[number] for number in (call.reads[0], call.outputs[0] or 0))
    if before == after or (before.is_floating_point is False and after.is_floating_point):
        return value
    if str(after) == "torch.bool":
        return value.like(value.node.ne(0))
    raise NotLowerable(f"a conversion from {before} to {after} has no counterpart")


@rule("view", "_unsafe_view", "reshape", "unsqueeze", "squeeze", "expand", "t", "transpose", "permute")
def _shape(lowering: Lowering, call: Call) -> Value:
    value = lowering.value(call.args[0])
    shape = lowering.recording.shapes[call.outputs[0] or 0]
    axis = batch_axis(shape, lowering.recording.rows)
    if axis is None:
        raise NotLowerable(f"{call.name} hides the batch")
    name = call.operator._schema.name.removeprefix("aten::")
    features = shape[:axis] + shape[axis + 1 :]
    if name in ("view", "_unsafe_view", "reshape"):
        if prod(value.shape[: value.axis]) != 1 or prod(shape[:axis]) != 1:
            raise NotLowerable(f"{call.name} moves the batch")
    elif name == "expand":
        if not same_order(value.features, features):
            if value.width != 1 and value.node.width != 1:
                raise NotLowerable("expand repeats some of the features only")
            return Value(value.node, shape, axis)
    elif not same_order(value.features, features) or (
        name in ("t", "transpose", "permute") and not _keeps_order(value, shape, axis, call)
    ):
        raise NotLowerable(f"{call.name} puts features into another order")
    return Value(value.node, shape, axis)


def _keeps_order(value: Value, shape: tuple[int, ...], axis: int, call: Call) -> bool:
    """Tell whether features of equal size have not changed places."""
    count = len(shape)
    order = list(range(count))
    if call.operator._schema.name == "aten::permute":
        order = [dim % count for dim in call.args[1]]
    else:
        first, second = (0, 1) if len(call.args) < 3 else (dim % count for dim in call.args[1:3])
        if count > 1:
            order[first], order[second] = order[second], order[first]
    moved = [dim for dim in order if dim != value.axis and value.shape[dim] != 1]
    return moved == sorted(moved)


# Pieces.


def _features_dim(value: Value, dim: int) -> tuple[int, int]:
    """Give the size of a dimension and how many elements one step along it is; only the first of the features will do."""
    dim %= len(value.shape)
    if dim == value.axis:
        raise NotLowerable("it takes the batch apart")
    before = [size for d, size in enumerate(value.shape[:dim]) if d != value.axis]
    if prod(before) != 1:
        raise NotLowerable("it takes apart an inner dimension of the features")
    after = [size for d, size in enumerate(value.shape) if d > dim and d != value.axis]
    return value.shape[dim], prod(after)


def _piece(lowering: Lowering, value: Value, dim: int, start: int, stop: int, number: int | None) -> Value | None:
    if number is None:
        return None
    _, inner = _features_dim(value, dim)
    shape = lowering.recording.shapes[number]
    axis = batch_axis(shape, lowering.recording.rows)
    if axis is None:
        raise NotLowerable("a piece loses the batch")
    return Value(lowering.graph.slice(value.node, start * inner, (stop - start) * inner), shape, axis)


@rule("split", "split_with_sizes")
def _split(lowering: Lowering, call: Call) -> list[Value | None]:
    given = lowering.arguments(call)
    value, dim = lowering.value(given["self"]), given["dim"]
    size, _ = _features_dim(value, dim)
    sizes = given.get("split_sizes") or given.get("split_size")
    if not isinstance(sizes, list | tuple):
        sizes = [min(sizes, size - start) for start in range(0, size, sizes)]
    starts = [sum(sizes[:k]) for k in range(len(sizes))]
    pieces = zip(starts, sizes, call.outputs, strict=True)
    return [_piece(lowering, value, dim, start, start + count, number) for start, count, number in pieces]


@rule("slice")
def _slice(lowering: Lowering, call: Call) -> Value | None:
    given = lowering.arguments(call)
    value, dim = lowering.value(given["self"]), given["dim"] % len(lowering.shape(given["self"]))
    shape = lowering.recording.shapes[call.outputs[0] or 0]
    if shape == value.shape:
        return value
    size, _ = _features_dim(value, dim)
    if given["step"] != 1:
        raise NotLowerable("a slice with a step has no counterpart")
    start, stop, _ = slice(given["start"], given["end"]).indices(size)
    return _piece(lowering, value, dim, start, stop, call.outputs[0])


@rule("select")
def _select(lowering: Lowering, call: Call) -> Value | None:
    given = lowering.arguments(call)
    value = lowering.value(given["self"])
    size, _ = _features_dim(value, given["dim"])
    start = given["index"] % size
    return _piece(lowering, value, given["dim"], start, start + 1, call.outputs[0])


@rule("unbind")
def _unbind(lowering: Lowering, call: Call) -> list[Value | None]:
    given = lowering.arguments(call)
    value = lowering.value(given["self"])
    return [_piece(lowering, value, given["dim"], k, k + 1, number) for k, number in enumerate(call.outputs)]


@rule("cat", "stack")
def _cat(lowering: Lowering, call: Call) -> Value:
    given = lowering.arguments(call)
    shape = lowering.recording.shapes[call.outputs[0] or 0]
    axis = batch_axis(shape, lowering.recording.rows)
    if axis is None:
        raise NotLowerable("cat hides the batch")
    result = Value(lowering.graph.number(0), shape, axis)
    _features_dim(result, given["dim"])
    pieces = []
    for ref in given["tensors"]:
        if lowering.is_value(ref):
            pieces.append(lowering.value(ref).full())
        else:
            own = lowering.shape(ref)
            place = batch_axis(own, lowering.recording.rows)
            if place is not None:
                raise NotLowerable("an invariant has a dimension for the batch")
            raise NotLowerable("cat joins an invariant without the batch")
    return Value(lowering.graph.concat(pieces), shape, axis)


# Constants with a row for each of the batch.


def _constant(value_of: Callable[[dict[str, Any]], float]) -> Rule:
    def lower(lowering: Lowering, call: Call) -> Value | None:
        shape = lowering.recording.shapes[call.outputs[0] or 0]
        axis = batch_axis(shape, lowering.recording.rows)
        if axis is None:
            raise NotLowerable(f"{call.name} makes a constant that the projection decides")
        value = value_of(lowering.arguments(call))
        if isinstance(value, Ref):
            return lowering.spread(value, shape, axis)
        return Value(lowering.graph.number(float(value)), shape, axis)

    return lower


rule("zeros", "zeros_like", "new_zeros")(_constant(lambda given: 0.0))
rule("ones", "ones_like", "new_ones")(_constant(lambda given: 1.0))
rule("full", "full_like", "new_full")(_constant(lambda given: given["fill_value"]))
rule("fill", cheap=False)(_constant(lambda given: given["value"]))


# Products.


def _product(lowering: Lowering, left: Ref, right: Ref, number: int) -> Value:
    shape = lowering.recording.shapes[number]
    axis = batch_axis(shape, lowering.recording.rows)
    if axis is None or lowering.is_value(left) == lowering.is_value(right):
        raise NotLowerable("a product of two tensors that both depend on the rows has no counterpart")
    turned = lowering.is_value(right)
    value = lowering.value(right if turned else left)
    weight = left if turned else right
    sizes = [size for size in lowering.shape(weight)]
    while len(sizes) > 2 and sizes[0] == 1:
        sizes = sizes[1:]
    if len(sizes) == 1:
        sizes = [1, sizes[0]] if turned else [sizes[0], 1]
    if (
        len(sizes) != 2
        or value.axis != len(value.shape) - (1 if turned else 2)
        or prod(value.shape) != value.width * value.shape[value.axis]
    ):
        raise NotLowerable("a product of more than two dimensions has no counterpart")
    rows, columns = sizes[::-1] if turned else sizes
    if value.width != rows:
        raise NotLowerable("a product does not go over all of the features")
    node = lowering.product(value.full(), weight, rows, columns, turned)
    return Value(node, shape, axis)


@rule("mm", "bmm", "mv", cheap=False)
def _mm(lowering: Lowering, call: Call) -> Value:
    return _product(lowering, call.args[0], call.args[1], call.outputs[0] or 0)


@rule("addmm", "baddbmm", cheap=False)
def _addmm(lowering: Lowering, call: Call) -> Value:
    given = lowering.arguments(call)
    left, right = (given[name] for name in (("mat1", "mat2") if "mat1" in given else ("batch1", "batch2")))
    result = _product(lowering, left, right, call.outputs[0] or 0)
    node = _scaled(result.node, given["alpha"])
    if given["beta"]:
        node = node + _scaled(lowering.spread(given["self"], result.shape, result.axis).node, given["beta"])
    return result.like(node)


# Reductions over all of a row.


def _whole_row(lowering: Lowering, call: Call, dims: Any) -> Value:
    """Give the operand of a reduction, if it goes over all features and nothing else."""
    value = lowering.value(call.args[0])
    count = len(value.shape)
    if dims is None or (isinstance(dims, list | tuple) and not dims):
        raise NotLowerable(f"{call.name} goes over the batch")
    chosen = {dim % count for dim in (dims if isinstance(dims, list | tuple) else [dims])}
    left = [size for dim, size in enumerate(value.shape) if dim not in chosen and dim != value.axis]
    if value.axis in chosen or prod(left) != 1:
        raise NotLowerable(f"{call.name} does not go over all of the features")
    return value


def _reduced(lowering: Lowering, call: Call, node: Node, output: int = 0) -> Value:
    shape = lowering.recording.shapes[call.outputs[output] or 0]
    axis = batch_axis(shape, lowering.recording.rows)
    if axis is None:
        raise NotLowerable(f"{call.name} goes over the batch")
    return Value(node, shape, axis)


def _mean(node: Node, width: int) -> Node:
    return node.graph.sum(node, width) / node.graph.size(width)


@rule("sum", cheap=False)
def _sum(lowering: Lowering, call: Call) -> Value:
    value = _whole_row(lowering, call, lowering.arguments(call).get("dim"))
    return _reduced(lowering, call, lowering.graph.sum(value.full(), value.width))


@rule("mean", cheap=False)
def _mean_rule(lowering: Lowering, call: Call) -> Value:
    value = _whole_row(lowering, call, lowering.arguments(call).get("dim"))
    return _reduced(lowering, call, _mean(value.full(), value.width))


@rule("amax", cheap=False)
def _amax(lowering: Lowering, call: Call) -> Value:
    value = _whole_row(lowering, call, lowering.arguments(call)["dim"])
    return _reduced(lowering, call, lowering.graph.max(value.full()))


@rule("amin", cheap=False)
def _amin(lowering: Lowering, call: Call) -> Value:
    value = _whole_row(lowering, call, lowering.arguments(call)["dim"])
    return _reduced(lowering, call, -lowering.graph.max(-value.full()))


def _variance(value: Value, correction: float) -> Node:
    node = value.full()
    # The deviations from the mean add up to zero, so no gradient goes by way of the mean.
    centred = node - _mean(node, value.width).stop()
    return node.graph.sum(centred * centred, value.width) / node.graph.size(value.width, -int(correction))


@rule("var", cheap=False)
def _var(lowering: Lowering, call: Call) -> Value:
    given = lowering.arguments(call)
    value = _whole_row(lowering, call, given.get("dim"))
    return _reduced(lowering, call, _variance(value, _correction(given)))


@rule("std", cheap=False)
def _std(lowering: Lowering, call: Call) -> Value:
    given = lowering.arguments(call)
    value = _whole_row(lowering, call, given.get("dim"))
    return _reduced(lowering, call, _variance(value, _correction(given)).sqrt())


@rule("var_mean", cheap=False)
def _var_mean(lowering: Lowering, call: Call) -> list[Value]:
    given = lowering.arguments(call)
    value = _whole_row(lowering, call, given.get("dim"))
    variance = _reduced(lowering, call, _variance(value, _correction(given)))
    return [variance, _reduced(lowering, call, _mean(value.full(), value.width), output=1)]


def _correction(given: dict[str, Any]) -> float:
    if "correction" in given:
        correction = 1.0 if given["correction"] is None else float(given["correction"])
    else:
        correction = 1.0 if given.get("unbiased", True) else 0.0
    if correction != int(correction):
        raise NotLowerable("a variance with a correction that is no whole number has no counterpart")
    return correction


@rule("linalg_vector_norm", "norm", cheap=False)
def _norm(lowering: Lowering, call: Call) -> Value:
    given = lowering.arguments(call)
    order = given.get("ord", given.get("p"))
    value = _whole_row(lowering, call, given.get("dim"))
    node = value.full()
    if order == 1:
        return _reduced(lowering, call, lowering.graph.sum(node.abs(), value.width))
    if order not in (2, None):
        raise NotLowerable(f"a norm of order {order} has no counterpart")
    squares = lowering.graph.sum(node * node, value.width)
    zero = squares.eq(0)  # where the norm has no derivative, torch gives 0
    return _reduced(lowering, call, zero.where(0, zero.where(1, squares).sqrt()))


@rule("_softmax", cheap=False)
def _softmax(lowering: Lowering, call: Call) -> Value:
    value = _whole_row(lowering, call, call.args[1])
    node = value.full()
    raised = (node - lowering.graph.max(node).stop()).exp()
    return value.like(raised / lowering.graph.sum(raised, value.width))


@rule("_log_softmax", cheap=False)
def _log_softmax(lowering: Lowering, call: Call) -> Value:
    value = _whole_row(lowering, call, call.args[1])
    node = value.full()
    lowered = node - lowering.graph.max(node).stop()
    return value.like(lowered - lowering.graph.sum(lowered.exp(), value.width).log())


@rule("logsumexp", cheap=False)
def _logsumexp(lowering: Lowering, call: Call) -> Value:
    value = _whole_row(lowering, call, lowering.arguments(call)["dim"])
    node = value.full()
    top = lowering.graph.max(node).stop()
    return _reduced(lowering, call, top + lowering.graph.sum((node - top).exp(), value.width).log())


@rule("native_layer_norm", cheap=False)
def _layer_norm(lowering: Lowering, call: Call) -> list[Any]:
    given = lowering.arguments(call)
    value = lowering.value(given["input"])
    if prod(given["normalized_shape"]) != value.width:
        raise NotLowerable("layer_norm does not go over all of the features")
    node = value.full()
    centred = node - _mean(node, value.width)
    normal = centred * (_variance(value, 0) + float(given["eps"])).rsqrt()
    for name, op in (("weight", "mul"), ("bias", "add")):
        if given[name] is not None:
            normal = normal.graph.pointwise(op, normal, lowering.spread(given[name], value.shape, value.axis).node)
    return [value.like(normal), None, None]
