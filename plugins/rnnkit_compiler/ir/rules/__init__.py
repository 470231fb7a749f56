"""How aten's operations read in the intermediate form, a rule each: from the call to the value that it returns."""

from rnnkit_compiler.ir.rules import (
    activations,
    attention,
    constants,
    left_over,
    pointwise,
    products,
    reductions,
    shapes,
    splits,
)
from rnnkit_compiler.ir.rules.table import Rule
from rnnkit_compiler.trace.recording import Call

TABLES = (
    pointwise.TABLE,
    activations.TABLE,
    shapes.TABLE,
    splits.TABLE,
    constants.TABLE,
    constants.FILLED,
    products.TABLE,
    reductions.TABLE,
    attention.TABLE,
    left_over.TABLE,
)

RULES: dict[str, Rule] = {name: rule for table in TABLES for name, rule in table.rules.items()}
"""By the name of the operation, without its overload."""

_CHEAP = frozenset(name for table in TABLES if table.cheap for name in table.rules)


def is_cheap(call: Call) -> bool:
    """Tell whether a call of the input alone is not worth making ahead."""
    return call.base_name in _CHEAP
