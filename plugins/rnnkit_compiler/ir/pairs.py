"""Complex numbers as pairs of real ones."""

from typing import Any, NamedTuple

import torch

from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.precision import COMPLEX
from rnnkit_compiler.ir.values import Form, NotLowerable, Pair
from rnnkit_compiler.trace.recording import Ref

aten = torch.ops.aten


class Parts(NamedTuple):
    """Real and imaginary parts as nodes."""

    real: Node
    imag: Node


def parts_of(lowering: Lowering, argument: Any, form: Form) -> Parts:
    """Return an argument of a pointwise operation with a result of such a form."""
    if not isinstance(argument, Ref):
        number = complex(argument)
        return Parts(lowering.graph.number(number.real), lowering.graph.number(number.imag))
    if not lowering.recording.dtypes[argument.number].is_complex:
        return Parts(lowering.spread(argument, *form).node, lowering.graph.number(0))
    pair = lowering.pairs.get(argument.number)
    if pair is not None:
        return Parts(*(lowering.aligned(value, form).node for value in pair))
    return Parts(*(lowering.spread(Ref(number), *form).node for number in components(lowering, argument.number)))


def pair_of(lowering: Lowering, argument: Ref) -> Pair:
    """Return a tensor of the step's as a pair.

    Raises:
        NotLowerable: it is a complex one that does not depend on the rows.
    """
    if argument.number in lowering.pairs:
        return lowering.pairs[argument.number]
    if lowering.is_value(argument):
        value = lowering.value(argument)
        return Pair(value, value.like(lowering.graph.number(0)))
    raise NotLowerable("a complex invariant has no rows")


def components(lowering: Lowering, number: int) -> tuple[int, int]:
    """Return the numbers of the real and the imaginary part of a complex invariant, made once a call."""
    literal = lowering.recording.constants.get(number)
    if number not in lowering.components and literal is not None:
        first, second = (lowering.added.constant(part.contiguous()).number for part in (literal.real, literal.imag))
        lowering.components[number] = first, second
    if number not in lowering.components:
        once = lowering.added.once
        shape, real = lowering.recording.shapes[number], COMPLEX[lowering.recording.dtypes[number]]
        plain = once(aten.resolve_conj.default, (Ref(number),), shape, lowering.recording.dtypes[number])
        both = once(aten.view_as_real.default, (Ref(plain),), (*shape, 2), real)
        first, second = (once(aten.select.int, (Ref(both), -1, k), shape, real) for k in (0, 1))
        lowering.components[number] = first, second
    return lowering.components[number]
