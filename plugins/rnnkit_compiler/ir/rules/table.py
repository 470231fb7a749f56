"""A table of rules: which operation of aten's each is for."""

from collections.abc import Callable
from typing import Any

from rnnkit_compiler.ir.lowering import Lowering
from rnnkit_compiler.trace.recording import Call

Rule = Callable[[Lowering, Call], Any]
"""From a call to the value that it gives, or to a list of one for each result (None: a result that no one may read)."""


class Table:
    """Rules by the name of the operation, without its overload.

    None is for an operation that torch makes of others above autograd, as `square`: the recording sees the others.

    Args:
        cheap: whether these operations may as well be made at every step, as pointwise ones and views.
    """

    def __init__(self, cheap: bool) -> None:
        self.cheap = cheap
        self.rules: dict[str, Rule] = {}

    def rule(self, *names: str) -> Callable[[Rule], Rule]:
        """Enter a rule for operations of these names."""

        def enter(function: Rule) -> Rule:
            self.rules |= dict.fromkeys(names, function)
            return function

        return enter
