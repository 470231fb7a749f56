"""The examination of cases: the problem they share is built once, and each gets its verdict."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rnnkit.core.unroller import Unroller
from rnnkit.errors import RnnkitError, one_line
from rnnkit.matrix.case import Case
from rnnkit.matrix.checks import CHECK, surroundings
from rnnkit.matrix.exceptions import declared_exception
from rnnkit.matrix.problem import Problem
from rnnkit.matrix.truth import Truth
from rnnkit.matrix.verdict import DECLARED, FAILED, Verdict, judged
from rnnkit.plugin.resolve import reference_unroller, resolve_unroller


def examined(cases: Sequence[Case], seed: int = 0) -> Iterator[tuple[Case, Verdict]]:
    """Yield a verdict on each case; those of one problem, if they come together, share what it takes.

    What a cell or an unroller raises is a failure of the case and of no other.
    """
    before, shared = "", None
    for case in cases:
        if case.problem != before:
            before, shared = case.problem, _Shared(case, seed)
        assert shared is not None
        yield case, shared.verdict(case)


class _Shared:
    """A problem with its truth, or what kept it from being built."""

    def __init__(self, case: Case, seed: int) -> None:
        self.failure: Verdict | None = None
        try:
            self.problem = Problem(case._replace(unroller=reference_unroller().name), seed)
            self.truth = Truth(self.problem)
        except Exception as error:  # whatever somebody's cell may raise
            self.failure = _failed(error)

    def verdict(self, case: Case) -> Verdict:
        """Examine one case."""
        if self.failure is not None:
            return self.failure
        layer = self.problem.layer
        try:
            with surroundings(self.problem.seed):
                unroller = resolve_unroller(case.unroller, *layer.cells)
                if reason := declared_exception(layer.cells, unroller, case):
                    return Verdict(DECLARED, reason=reason)
                layer.unroller = unroller
                with stand_ins(unroller) as calls:
                    verdict = judged(CHECK[case.check](self.problem, self.truth, layer))
        except Exception as error:  # whatever somebody's cell or unroller may raise
            return _failed(error)
        return Verdict(**{**vars(verdict), "by_loop": bool(calls)})


def _failed(error: Exception) -> Verdict:
    return Verdict(FAILED, float("inf"), reason=str(error) if isinstance(error, RnnkitError) else one_line(error))


@contextmanager
def stand_ins(unroller: Unroller) -> Iterator[list[str]]:
    """Gather a name for each call of the plain loop while `unroller`, which is another, is at work."""
    loop: Any = type(reference_unroller())
    calls: list[str] = []
    if isinstance(unroller, loop):
        yield calls
        return
    run = loop.__call__

    def noted(self: Unroller, cell: Any, *arguments: Any, **words: Any) -> Any:
        calls.append(cell.name)
        return run(self, cell, *arguments, **words)

    loop.__call__ = noted
    try:
        yield calls
    finally:
        loop.__call__ = run
