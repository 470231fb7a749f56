"""How aten's operations read in the intermediate form, a rule each: from the call to the value that it returns."""

from rnnkit_compiler.ir.rules import (
    activations,
    attention,
    backward,
    bits,
    chosen,
    complex,
    complex_functions,
    complex_parts,
    constants,
    distances,
    divisions,
    fourier,
    left_over,
    losses,
    matrices,
    moves,
    norms,
    pointwise,
    pools,
    products,
    ranks,
    reductions,
    refused,
    scans,
    shapes,
    slopes,
    special,
    splits,
)
from rnnkit_compiler.ir.rules.table import Rule
from rnnkit_compiler.trace.recording import Call

TABLES = (
    pointwise.TABLE,
    activations.TABLE,
    divisions.TABLE,
    special.TABLE,
    losses.TABLE,
    moves.TABLE,
    shapes.TABLE,
    splits.TABLE,
    constants.TABLE,
    constants.FILLED,
    products.TABLE,
    reductions.TABLE,
    norms.TABLE,
    pools.TABLE,
    fourier.TABLE,
    scans.TABLE,
    attention.TABLE,
    slopes.TABLE,
    slopes.ALONG,
    distances.TABLE,
    chosen.TABLE,
    bits.TABLE,
    ranks.TABLE,
    matrices.TABLE,
    left_over.TABLE,
    backward.TABLE,
    refused.TABLE,
)

BY_UNIT = (*shapes.TABLE.rules, *splits.TABLE.rules)
"""What may also be done unit by unit."""

RULES: dict[str, Rule] = {
    name: moves.or_moved(rule) if name in BY_UNIT else rule for table in TABLES for name, rule in table.rules.items()
}
"""By the name of the operation, without its overload."""

COMPLEX_RULES: dict[str, Rule] = complex_parts.TABLE.rules | complex.TABLE.rules | complex_functions.TABLE.rules
"""The same where an operand or a result is complex."""

_CHEAP = frozenset(name for table in TABLES if table.cheap for name in table.rules)


def is_cheap(call: Call) -> bool:
    """Tell whether a call of the input alone is not worth making ahead."""
    return call.base_name in _CHEAP
