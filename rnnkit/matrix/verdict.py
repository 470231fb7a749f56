"""The verdict on a case: which component is worst, and whether it is right."""

from collections.abc import Iterable
from dataclasses import dataclass

from rnnkit.matrix.comparison import Comparison

PASSED, DECLARED, FAILED = "passed", "declared", "failed"
OUTCOMES = (PASSED, DECLARED, FAILED)


@dataclass(frozen=True)
class Verdict:
    """What came of a case."""

    outcome: str
    """One of `OUTCOMES`; "declared": the unroller says that it does not do this, and why."""

    error: float = 0.0
    """That of the component which is worst in terms of its own tolerance."""

    component: str = ""
    """Which one that is."""

    reason: str = ""
    """Why not, of a case that is declared; what is wrong, of one that failed."""

    by_loop: bool = False
    """Whether the unroller had the plain loop run instead."""


def judged(comparisons: Iterable[Comparison]) -> Verdict:
    """Return the verdict on comparisons, by the worst of them in terms of its own tolerance."""
    worst, share = Verdict(FAILED, reason="nothing was compared"), -1.0
    for comparison in comparisons:
        error = comparison.error
        own = error / comparison.tolerance
        if own <= share:
            continue
        right = own <= 1
        worst = Verdict(PASSED if right else FAILED, error, comparison.component, "" if right else comparison.problem())
        if error != error:  # nothing is worse than NaN
            break
        share = own
    return worst
