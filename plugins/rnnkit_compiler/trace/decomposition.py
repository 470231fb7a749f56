"""Operations of a recording, made of simpler ones that a kernel has: convolutions and bilinear forms as products.

What is made of the weight alone is done once a call; gradients go through it as through everything else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnkit_compiler.trace.recording import FILLED, Call, Recording, Ref

aten = torch.ops.aten

MOST_ELEMENTS = 1 << 18
"""Of a convolution's matrix from places to places, which stays in the second cache."""

MOST_MULTIPLICATIONS = 400_000
"""For each row, of a convolution that gathers; where there are more, torch's own is as fast."""

MOST_WASTE = 8
"""Products with zeros, for each other one, up to which such a matrix is faster than gathering what a kernel sees."""


def decomposed(recording: Recording) -> Recording:
    """Return a recording in which products stand in place of convolutions and bilinear forms of rows and weights."""
    copied = replace(recording, calls=[], shapes=[*recording.shapes], dtypes=[*recording.dtypes])
    copied.constants, copied.places = dict(recording.constants), dict(recording.places)
    writer = _Writer(copied)
    for call in recording.calls:
        literal = _literal(recording, call)
        if literal is not None:
            copied.constants[call.output] = literal
            continue
        write = WRITTEN.get(call.base_name)
        first = len(copied.shapes)
        result = None if write is None else write(writer, call)
        copied.places |= dict.fromkeys(range(first, len(copied.shapes)), recording.place_of(call))
        if result is None:
            writer.recording.calls.append(call)
        else:
            writer.name(result, call.output)
    return writer.recording


def _literal(recording: Recording, call: Call) -> Tensor | None:
    """Return what a call fills with one number for all rows together, such as `h.new_zeros(())`; None: it does not."""
    if call.base_name not in FILLED:
        return None
    fill = FILLED[call.base_name]
    value = call.arguments["fill_value"] if fill is None else fill
    if not isinstance(value, int | float) or _depends_on_rows(recording, Ref(call.output)):
        return None
    return torch.full(recording.shapes[call.output], value, dtype=recording.dtypes[call.output], device="cpu")


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
        self.recording.constants[number] = tensor
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


def _embedding(writer: _Writer, call: Call) -> Ref | None:
    """Cut the row of padding off from the gradient."""
    weight, indices, padding = call.args[0], call.args[1], call.arguments["padding_idx"]
    if padding in (None, -1) or call.arguments["scale_grad_by_freq"]:
        return None
    count, width = writer.shape(weight)
    bounds = [(0, padding), (padding, padding + 1), (padding + 1, count)]
    pieces = [
        writer.add(aten.slice.Tensor, weight, 0, start, stop, shape=(stop - start, width))
        for start, stop in bounds
        if stop > start
    ]
    at = int(padding > 0)
    pieces[at] = writer.add(aten.detach.default, pieces[at], shape=writer.shape(pieces[at]))
    table = writer.add(aten.cat.default, pieces, shape=(count, width))
    return writer.add(aten.embedding.default, table, indices, shape=writer.recording.shapes[call.output])


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

    def pads(self, at: Sequence[int]) -> list[int]:
        """Return how much is put around the input, or taken off, so that it is what a place of the kernel sees.

        In pairs, of the last dimension first.
        """
        pairs = []
        for size, made, pad, a, dilation in zip(
            self.inputs, self.outputs, self.padding, at, self.dilation, strict=True
        ):
            before = pad - a * dilation
            pairs.append((before, made - size - before))
        return [count for pair in reversed(pairs) for count in pair]

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
    shape, (_, _, *kernel), outputs = writer.shape(x), writer.shape(weight), recording.shapes[call.output]
    if shape[0] != recording.rows or _depends_on_rows(recording, weight):
        return None
    out = outputs[1]
    ends = (outputs[2:], shape[2:]) if transposed else (shape[2:], outputs[2:])
    places = _Places(*ends, tuple(kernel), *(tuple(v) for v in (stride, padding, dilation)))
    made, pairs, seen = prod(outputs[2:]), shape[1] * out // groups, prod(kernel)
    if pairs * prod(shape[2:]) * made <= MOST_ELEMENTS and prod(places.inputs) <= MOST_WASTE * seen:
        rows = _by_whole_matrix(writer, x, _Kernel(weight, groups, transposed), places, outputs)
    elif set(stride) == {1} and not transposed and groups == 1 and pairs * seen * made <= MOST_MULTIPLICATIONS:
        rows = _by_gathering(writer, x, weight, places)
    else:
        return None
    if bias is not None:
        column = writer.view(bias, 1, out, *[1] * len(kernel))
        return writer.add(aten.add.Tensor, rows, column, shape=outputs)
    return rows


class _Kernel(NamedTuple):
    """What a convolution multiplies by: a weight (O, I / groups, ...), or of a transposed one (I, O / groups, ...)."""

    weight: Ref
    groups: int
    transposed: bool

    def spread(self, writer: _Writer, places: _Places) -> Ref:
        """Return a matrix for each group, from all its channels and places to all that it makes, mostly zeros."""
        groups, (first, second, *_), size = self.groups, writer.shape(self.weight), prod(places.kernel)
        seen = places.seen(writer.recording.dtypes[self.weight.number])
        if self.transposed:
            seen = seen.transpose(1, 2).contiguous()
        ones = writer.constant(seen.flatten(1))
        each = writer.multiply(writer.view(self.weight, first * second, size), ones)
        by_channel = writer.view(each, groups, first // groups, second, *seen.shape[1:])
        channels, made = (1, 2) if self.transposed else (2, 1)
        matrix = writer.permute(by_channel, 0, channels, 3, made, 4)
        shape = writer.shape(matrix)
        return writer.view(matrix, groups, prod(shape[1:3]), prod(shape[3:]))


def _by_whole_matrix(writer: _Writer, x: Ref, kernel: _Kernel, places: _Places, outputs: Sequence[int]) -> Ref:
    """Multiply all channels and places of a row, in each group, by one matrix to all of its result."""
    matrix, rows = kernel.spread(writer, places), writer.recording.rows
    groups, depth, made = writer.shape(matrix)
    if groups == 1:
        flat = writer.view(x, rows, depth)
        return writer.view(writer.multiply(flat, writer.view(matrix, depth, made)), *outputs)
    by_group = writer.permute(writer.view(x, rows, groups, depth), 1, 0, 2)
    product = writer.add(aten.bmm.default, by_group, matrix, shape=(groups, rows, made))
    return writer.view(writer.permute(product, 1, 0, 2), *outputs)


def _by_gathering(writer: _Writer, x: Ref, weight: Ref, places: _Places) -> Ref:
    """Gather what each place of the kernel sees, for all places of the result, and multiply that by the kernel."""
    rows, (out, channels, *kernel) = writer.recording.rows, writer.shape(weight)
    seen = (rows, channels, *places.outputs)
    pieces = [
        writer.add(aten.constant_pad_nd.default, x, places.pads(at), shape=seen) for at in product(*map(range, kernel))
    ]
    depth, made = len(pieces) * channels, prod(places.outputs)
    gathered = writer.add(aten.stack.default, pieces, 1, shape=(rows, len(pieces), *seen[1:]))
    matrix = writer.view(writer.permute(weight, 0, *range(2, 2 + len(kernel)), 1), out, depth)
    shape = (rows, out, depth)
    of_rows = writer.add(aten.expand.default, matrix, list(shape), shape=shape)
    flat = writer.view(gathered, rows, depth, made)
    return writer.view(writer.add(aten.bmm.default, of_rows, flat, shape=(rows, out, made)), rows, out, *places.outputs)


WRITTEN = {"convolution": _convolution, "_trilinear": _bilinear, "embedding": _embedding}
"""By the name of an operation: what writes another way to the same result, or None where there is none."""
