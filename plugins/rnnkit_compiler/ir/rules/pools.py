"""Fixed sums of units, and the largest of fixed windows: what a call does is found by trying it on each unit."""

from collections.abc import Iterator

import torch
from torch import Tensor

from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.rules.table import Table
from rnnkit_compiler.ir.units import NONE, gather
from rnnkit_compiler.ir.values import NotLowerable, Value
from rnnkit_compiler.trace.recording import Call, Ref

TABLE = Table(cheap=False)

SUMS = (
    *("avg_pool1d", *(f"{kind}avg_pool{count}d" for kind in ("", "_adaptive_") for count in (2, 3))),
    *(f"{kind}{count}d" for kind in ("upsample_nearest", "_upsample_nearest_exact") for count in (1, 2, 3)),
    *("upsample_linear1d", "upsample_bilinear2d", "upsample_bicubic2d", "upsample_trilinear3d"),
    *("col2im", "scatter_add", "scatter_reduce", "index_add"),
)
"""Operations whose results are sums of units, each times a number that is fixed."""

WINDOWS = ("max_pool2d_with_indices", "max_pool3d_with_indices", "adaptive_max_pool2d", "adaptive_max_pool3d")

MOST_TERMS = 64
"""Of a sum, each of one unit for each result."""

LARGEST = 4096
"""Units that are tried."""

FAR_BELOW = -1e30


@TABLE.rule(*SUMS)
def sums(lowering: Lowering, call: Call) -> Value:
    """Lower a call that adds up units which no number decides."""
    if lowering.arguments(call).get("reduce", "sum") != "sum":
        raise NotLowerable(f"{call.name} by another reduction than a sum has no counterpart")
    joined, responses = _tried(lowering, call, 0.0)
    shape, axis = lowering.place(call.output, f"{call.name} hides the batch")
    weights = torch.stack([response.flatten() for response in responses])  # (units, results)
    terms = [*_terms(weights)]
    if len(terms) > MOST_TERMS:  # a product takes as long, and less to compile
        matrix = lowering.added.constant(weights)
        return Value(lowering.factors.product(joined, matrix, weights.shape[1], False, None), shape, axis)
    total = lowering.graph.number(0)
    for weight, units in terms:
        total = total + gather(joined, units) * weight
    return Value(total, shape, axis)


def _terms(weights: Tensor) -> Iterator[tuple[float, list[int]]]:
    """Take a matrix (units, results) apart into numbers, each times one unit at most for each result."""
    for weight in sorted(set(weights.flatten().tolist())):
        if not weight:
            continue
        hits = [column.nonzero().flatten().tolist() for column in (weights == weight).t()]
        for rank in range(max(map(len, hits))):
            yield weight, [units[rank] if rank < len(units) else NONE for units in hits]


@TABLE.rule(*WINDOWS)
def _windows(lowering: Lowering, call: Call) -> list[Value | None]:
    joined, responses = _tried(lowering, call, FAR_BELOW)
    shape, axis = lowering.place(call.output, f"{call.name} hides the batch")
    inside = torch.stack([response.flatten() for response in responses]) > FAR_BELOW / 2
    windows = [column.nonzero().flatten().tolist() for column in inside.t()]
    most = max(map(len, windows))
    if most > MOST_TERMS or not all(windows):
        raise NotLowerable(f"{call.name} has windows of more than {MOST_TERMS} units, or none")
    candidates = [gather(joined, [window[min(rank, len(window) - 1)] for window in windows]) for rank in range(most)]
    largest = candidates[0]
    for candidate in candidates[1:]:  # of equal ones the first has the gradient, of NaNs the last
        largest = candidate.gt(largest).maximum(candidate.ne(candidate)).where(candidate, largest)
    return [Value(largest, shape, axis), None]


def _tried(lowering: Lowering, call: Call, rest: float) -> tuple[Node, list[Tensor]]:
    """Make a call with each unit 1 and all others `rest`; return the units as one node, and what came out each time."""
    constants, given, values = lowering.constants, {}, {}
    for number in dict.fromkeys(call.reads):
        index = constants.of(number) if not lowering.recording.dtypes[number].is_floating_point else None
        if index is not None:
            given[number] = index
        else:
            values[number] = lowering.by_itself(Ref(number))
    joined = lowering.graph.concat([value.full() for value in values.values()])
    if joined.width > LARGEST:
        raise NotLowerable(f"{call.name} of more than {LARGEST} units has no counterpart")
    responses = []
    for unit in range(joined.width):
        row = torch.full((joined.width,), rest, dtype=torch.float64)
        row[unit] = 1.0
        cut = torch.split(row, [value.width for value in values.values()])
        shaped = {number: piece.view(constants.shape(number)) for number, piece in zip(values, cut, strict=True)}
        try:
            result = constants.apply(call, given | shaped)
        except (RuntimeError, IndexError) as error:
            raise NotLowerable(f"{call.name} does not go row by row") from error
        responses.append(result if isinstance(result, Tensor) else result[0])
    return joined, responses
