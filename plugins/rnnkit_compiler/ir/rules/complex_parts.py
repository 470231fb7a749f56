"""Operations that do the same to the real and to the imaginary parts of complex numbers."""

from typing import Any

import torch

from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.pairs import Parts, components, pair_of
from rnnkit_compiler.ir.rules import chosen, moves, norms, pools, reductions, scans, shapes, splits
from rnnkit_compiler.ir.rules.complex import magnitude
from rnnkit_compiler.ir.rules.table import Rule, Table
from rnnkit_compiler.ir.values import MOVES, VIEWS, NotLowerable, Pair, Value
from rnnkit_compiler.trace import scattered
from rnnkit_compiler.trace.recording import Call, Ref

TABLE = Table(cheap=True)

BY_PARTS = (*VIEWS, "cat", "stack", "sum", "mean", "resolve_conj", "cumsum", "index_add", *MOVES, *chosen.TABLE.rules)

LITERALS = ("value", "fill_value")
"""What an argument is called that stands for numbers of the result."""


def by_parts(rule: Rule) -> Rule:
    """Return the rule of a call on complex numbers: the call twice, once on real parts and once on imaginary ones."""

    def lower(lowering: Lowering, call: Call) -> Any:
        if isinstance(lowering.arguments(call).get("alpha"), complex):
            raise NotLowerable(f"{call.name} with a complex factor has no counterpart")
        real, imag = (rule(lowering, _of_part(lowering, call, part)) for part in (0, 1))
        if not call.several:
            return Pair(real, imag)
        return [None if one is None else Pair(one, other) for one, other in zip(real, imag, strict=True)]

    return lower


def _of_part(lowering: Lowering, call: Call, part: int) -> Call:
    """Return the call on the real parts (0) or the imaginary ones (1) of what it is given."""

    def of(name: str, value: Any) -> Any:
        if isinstance(value, Ref):
            return _part_of(lowering, value, part)
        if isinstance(value, tuple | list):
            return type(value)(of(name, item) for item in value)
        if name in LITERALS and isinstance(value, int | float | complex):
            return (complex(value).real, complex(value).imag)[part]
        return value

    names = [argument.name for argument in call.operator._schema.arguments]
    args = tuple(of(name, value) for name, value in zip(names, call.args, strict=False))
    return call._replace(args=args, kwargs={name: of(name, value) for name, value in call.kwargs.items()})


def _part_of(lowering: Lowering, ref: Ref, part: int) -> Ref:
    """Return a part of a tensor; of real numbers the imaginary one is zero, and an index is what it is."""
    number, dtype = ref.number, lowering.recording.dtypes[ref.number]
    if number in lowering.pairs:
        return lowering.entered(lowering.pairs[number][part])
    if dtype.is_complex:
        return Ref(components(lowering, number)[part])
    if not part or not dtype.is_floating_point:
        return ref
    if lowering.is_value(ref):
        return lowering.entered(lowering.values[number].like(lowering.graph.number(0)))
    return lowering.added.constant(torch.zeros(lowering.shape(ref), device="cpu"))


for _rules in (shapes, splits, reductions, scans, pools, moves, chosen):
    for _name, _rule in _rules.TABLE.rules.items():
        if _name in BY_PARTS:
            TABLE.rule(_name)(by_parts(_rule if _rules is chosen else moves.or_moved(_rule)))

for _name in scattered.NAMES:
    TABLE.rule(_name)(by_parts(moves.moved))


def _of_first(lowering: Lowering, call: Call, value: Value) -> Call:
    """Return the call on another first operand."""
    return call._replace(args=(lowering.entered(value), *call.args[1:]))


@TABLE.rule("linalg_vector_norm", "norm")
def _norm(lowering: Lowering, call: Call) -> Value:
    real, imag = pair_of(lowering, call.args[0])
    sizes = real.like(magnitude(Parts(real.node, imag.node)))
    found: Value = norms.TABLE.rules[call.base_name](lowering, _of_first(lowering, call, sizes))
    return found


@TABLE.rule("var", "std")
def _variance(lowering: Lowering, call: Call) -> Value:
    rule = reductions.TABLE.rules["var"]
    real, imag = (rule(lowering, _of_first(lowering, call, part)) for part in pair_of(lowering, call.args[0]))
    total = real.node + imag.node
    found: Value = real.like(reductions.root(total) if call.base_name == "std" else total)
    return found
