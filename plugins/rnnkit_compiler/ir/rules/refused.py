"""Operations that no kernel does, and why."""

from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.ir.rules.table import Rule, Table
from rnnkit_compiler.ir.values import NotLowerable
from rnnkit_compiler.trace.recording import Call

TABLE = Table(cheap=False)

REASONS = {
    **dict.fromkeys(("nanmedian", "mode"), "counts units by their numbers"),
    **dict.fromkeys(
        ("linalg_lu_factor_ex", "linalg_ldl_factor_ex"),
        "fails for some matrices, which a kernel does not look for",
    ),
    "binary_cross_entropy": "refuses numbers outside of [0, 1], which a kernel does not look for",
    "linalg_matrix_exp": "squares a matrix as often as its numbers say",
    "index_reduce": "multiplies what meets in one unit",
}
"""By the name of the operation: what it does that a kernel does not."""


def _refused(reason: str) -> Rule:
    def lower(lowering: Lowering, call: Call) -> None:
        raise NotLowerable(f"{call.base_name} {reason}")

    return lower


for _name, _reason in REASONS.items():
    TABLE.rule(_name)(_refused(_reason))
