"""Operations of a recording, made of simpler ones that a kernel has: convolutions and bilinear forms as products.

What is made of the weight alone is done once a call; gradients go through it as through everything else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Any

import torch
from torch import Tensor

from rnnkit_compiler.trace.recording import Call, Recording, Ref

aten = torch.ops.aten

MOST_ELEMENTS = 1 << 18
"""Of a convolution's matrix from places to places, which stays in the second cache."""

MOST_WASTE = 8
"""Products with zeros, for each other one, up to which such a matrix is faster than gathering what a kernel sees."""


def decomposed(recording: Recording) -> Recording:
    """Return a recording in which products stand in place of convolutions and bilinear forms of rows and weights."""
    writer = _Writer(replace(recording, calls=[], shapes=[*recording.shapes], dtypes=[*recording.dtypes]))
    for call in recording.calls:
        write = {"convolution": _convolution, "_trilinear": _bilinear}.get(call.base_name)
        result = None if write is None else write(writer, call)
        if result is None:
            writer.recording.calls.append(call)
        else:
            writer.name(result, call.output)
    return writer.recording


@dataclass
class _Writer:
    """Adds calls to a recording."""

    recording: Recording

    def add(self, operator: Any, *args: Any, shape: Sequence[int]) -> Ref:
        """Add a call; return what it gives."""
        number = self._number(shape, self.recording.dtypes[_first(args).number])
        self.recording.calls.append(Call(operator, args, {}, (number,), several=False))
        return Ref(number)

    def constant(self, tensor: Tensor) -> Ref:
        """Add a tensor of literals."""
        number = self._number(tensor.shape, tensor.dtype)
        self.recording.constants = self.recording.constants | {number: tensor}
        return Ref(number)

    def name(self, result: Ref, number: int) -> None:
        """Give the number of an operation that was replaced to what stands in its place."""
        call = self.recording.calls.pop()
        assert call.output == result.number
        self.recording.calls.append(call._replace(outputs=(number,)))

    def view(self, ref: Ref, *shape: int) -> Ref:
        """Give another shape."""
        return self.add(aten.view.default, ref, list(shape), shape=shape)

    def permute(self, ref: Ref, *dims: int) -> Ref:
        """Reorder dimensions, in memory too."""
        shape = [self.shape(ref)[dim] for dim in dims]
        turned = self.add(aten.permute.default, ref, list(dims), shape=shape)
        return self.add(aten.clone.default, turned, shape=shape)

    def multiply(self, left: Ref, right: Ref) -> Ref:
        """Multiply matrices."""
        shape = self.shape(left)[0], self.shape(right)[1]
        return self.add(aten.mm.default, left, right, shape=shape)

    def shape(self, ref: Ref) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        return self.recording.shapes[ref.number]

    def _number(self, shape: Sequence[int], dtype: torch.dtype) -> int:
        self.recording.shapes.append(tuple(shape))
        self.recording.dtypes.append(dtype)
        return len(self.recording.shapes) - 1


def _first(args: Sequence[Any]) -> Ref:
    return next(a if isinstance(a, Ref) else a[0] for a in args if isinstance(a, Ref | list) and not _is_sizes(a))


def _is_sizes(value: Any) -> bool:
    return isinstance(value, list) and isinstance(value[0], int)


def _depends_on_rows(recording: Recording, ref: Ref) -> bool:
    return any(size and size % recording.rows == 0 for size in recording.shapes[ref.number])


def _bilinear(writer: _Writer, call: Call) -> Ref | None:
    """Multiply the outer product of both operands by the weight, (O, I, J) as (I J, O)."""
    one, weight, other, *dims = call.args[:7]
    rows = writer.recording.rows
    shapes = [writer.shape(ref) for ref in (one, other)]
    if dims != [[1, 3], [0], [1, 2], [2, 3]] or any(len(s) != 2 or s[0] != rows for s in shapes):
        return None
    (_, i), (_, j), (o, *_) = *shapes, writer.shape(weight)
    columns, lines = writer.view(one, rows, i, 1), writer.view(other, rows, 1, j)
    outer = writer.view(writer.add(aten.mul.Tensor, columns, lines, shape=(rows, i, j)), rows, i * j)
    return writer.multiply(outer, writer.permute(writer.view(weight, o, i * j), 1, 0))


@dataclass(frozen=True)
class _Places:
    """The sizes of a convolution: places of the input and the output, and of the kernel between them."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]

    def seen(self, dtype: torch.dtype) -> Tensor:
        """Return 1 where a place of the kernel (first axis) has a place of the output see one of the input, else 0."""
        seen = torch.zeros(prod(self.kernel), prod(self.inputs), prod(self.outputs), dtype=dtype, device="cpu")
        kernels, outputs = (list(product(*map(range, sizes))) for sizes in (self.kernel, self.outputs))
        numbers = {place: k for k, place in enumerate(product(*map(range, self.inputs)))}
        for k, at in enumerate(kernels):
            for v, place in enumerate(outputs):
                axes = zip(place, self.stride, self.padding, at, self.dilation, strict=True)
                u = numbers.get(tuple(p * stride - pad + a * dilation for p, stride, pad, a, dilation in axes))
                if u is not None:
                    seen[k, u, v] = 1
        return seen


def _convolution(writer: _Writer, call: Call) -> Ref | None:
    x, weight, bias, stride, padding, dilation, transposed, _, groups = call.args
    recording = writer.recording
    shape, (out, channels, *kernel), outputs = writer.shape(x), writer.shape(weight), recording.shapes[call.output]
    if transposed or groups != 1 or shape[0] != recording.rows or _depends_on_rows(recording, weight):
        return None
    places = _Places(shape[2:], outputs[2:], tuple(kernel), *(tuple(v) for v in (stride, padding, dilation)))
    seen, made = prod(shape[2:]), prod(outputs[2:])
    if channels * seen * out * made <= MOST_ELEMENTS and seen <= MOST_WASTE * prod(kernel):
        rows = _by_whole_matrix(writer, x, weight, places)
    elif set(stride) == {1}:
        rows = _by_gathering(writer, x, weight, places)
    else:
        return None
    if bias is not None:
        column = writer.view(bias, 1, out, *[1] * len(kernel))
        return writer.add(aten.add.Tensor, rows, column, shape=outputs)
    return rows


def _by_whole_matrix(writer: _Writer, x: Ref, weight: Ref, places: _Places) -> Ref:
    """Multiply all channels and places of a row by one matrix to all of the result, mostly zeros."""
    rows, (out, channels, *_) = writer.recording.rows, writer.shape(weight)
    seen, made, kernel = (prod(sizes) for sizes in (places.inputs, places.outputs, places.kernel))
    ones = writer.view(writer.constant(places.seen(writer.recording.dtypes[weight.number])), kernel, seen * made)
    spread = writer.multiply(writer.view(weight, out * channels, kernel), ones)
    matrix = writer.permute(writer.view(spread, out, channels, seen, made), 1, 2, 0, 3)
    flat = writer.view(x, rows, channels * seen)
    result = writer.multiply(flat, writer.view(matrix, channels * seen, out * made))
    return writer.view(result, rows, out, *places.outputs)


def _by_gathering(writer: _Writer, x: Ref, weight: Ref, places: _Places) -> Ref:
    """Multiply, for each place, what the kernel sees there by the kernel: all places at once.

    The places are padded by zeros and put in one line, so that what one place of the kernel sees is one piece of it.
    Every line of the result has as many places as one of the padded input; those too many are left out.
    """
    recording, (out, channels, *kernel) = writer.recording, writer.shape(weight)
    rows, count = recording.rows, len(places.inputs)
    padded = tuple(size + 2 * pad for size, pad in zip(places.inputs, places.padding, strict=True))
    last = [*range(2, count + 2)]
    line = writer.permute(x, 0, *last, 1)
    for axis, pad in enumerate(places.padding, 1):
        line = _padded(writer, line, axis, pad, pad)
    line = writer.view(line, rows, prod(padded), channels)
    steps = [prod(padded[axis + 1 :]) for axis in range(count)]
    offsets = [
        sum(a * dilation * step for a, dilation, step in zip(at, places.dilation, steps, strict=True))
        for at in product(*map(range, kernel))
    ]
    made = places.outputs[0] * steps[0]
    line = _padded(writer, line, 1, 0, max(0, offsets[-1] + made - prod(padded)))
    shape = (rows, made, channels)
    pieces = [writer.add(aten.slice.Tensor, line, 1, o, o + made, shape=shape) for o in offsets]
    gathered = writer.add(aten.stack.default, pieces, 2, shape=(rows, made, len(offsets), channels))
    matrix = writer.permute(weight, *last, 1, 0)
    flat = writer.view(gathered, rows * made, len(offsets) * channels)
    result = writer.multiply(flat, writer.view(matrix, len(offsets) * channels, out))
    result = writer.view(result, rows, places.outputs[0], *padded[1:], out)
    for axis in range(1, count):
        size, whole = places.outputs[axis], writer.shape(result)
        shorter = (*whole[: axis + 1], size, *whole[axis + 2 :])
        result = writer.add(aten.slice.Tensor, result, axis + 1, 0, size, shape=shorter)
    return writer.permute(result, 0, count + 1, *range(1, count + 1))


def _padded(writer: _Writer, ref: Ref, axis: int, before: int, behind: int) -> Ref:
    """Put zeros before and behind along an axis."""
    shape = writer.shape(ref)
    joined = [ref]
    for count, place in ((before, 0), (behind, len(joined) + 1)):
        if count:
            sizes = [*shape[:axis], count, *shape[axis + 1 :]]
            joined.insert(place, writer.add(aten.new_zeros.default, ref, sizes, shape=sizes))
    if len(joined) == 1:
        return ref
    sizes = [*shape[:axis], shape[axis] + before + behind, *shape[axis + 1 :]]
    return writer.add(aten.cat.default, joined, axis, shape=sizes)
