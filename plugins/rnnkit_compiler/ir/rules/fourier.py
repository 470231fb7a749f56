"""Fourier transforms of units: products with a matrix that is found by transforming each unit by itself."""

import torch
from torch import Tensor

from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.pairs import pair_of
from rnnkit_compiler.ir.rules.table import Table
from rnnkit_compiler.ir.values import NotLowerable, Pair, Value
from rnnkit_compiler.trace.recording import Call

TABLE = Table(cheap=False)

LARGEST = 1024
"""Units of which the matrix is made."""


@TABLE.rule("_fft_r2c", "_fft_c2c", "_fft_c2r")
def _transformed(lowering: Lowering, call: Call) -> Pair | Value:
    argument = call.args[0]
    is_complex = lowering.recording.dtypes[argument.number].is_complex
    node = pair_of(lowering, argument).node() if is_complex else lowering.value(argument).full()
    shape, axis = lowering.place(call.output, f"{call.name} hides the batch")
    if node.width > LARGEST:
        raise NotLowerable(f"{call.name} of more than {LARGEST} numbers has no counterpart")
    matrix = torch.stack([_response(lowering, call, unit, node.width, is_complex) for unit in range(node.width)])
    product = lowering.factors.product(node, lowering.added.constant(matrix), matrix.shape[1], False, None)
    if not lowering.recording.dtypes[call.output].is_complex:
        return Value(product, shape, axis)
    half = matrix.shape[1] // 2
    return Pair(*(Value(lowering.graph.slice(product, start, half), shape, axis) for start in (0, half)))


def _response(lowering: Lowering, call: Call, unit: int, count: int, is_complex: bool) -> Tensor:
    """Return what becomes of one unit, or of one of its parts: real parts, and behind them imaginary ones."""
    row = torch.zeros(count, dtype=torch.float64)
    row[unit] = 1.0
    given = torch.complex(*row.chunk(2)) if is_complex else row
    number = call.args[0].number
    try:
        result = lowering.constants.apply(call, {number: given.view(lowering.constants.shape(number))})
    except RuntimeError as error:
        raise NotLowerable(f"{call.name} does not go row by row") from error
    parts = [result.real, result.imag] if result.is_complex() else [result]
    return torch.cat([part.flatten() for part in parts])
