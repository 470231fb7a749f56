"""The certificate of a cell's gradients: how far they are from central differences, at worst."""

from typing import NamedTuple

from rnnkit.testing.gradient_report import GradientReport


class Certificate(NamedTuple):
    """What was compared, and how far apart it was."""

    cell: str
    first: float
    """The largest relative error of a gradient; see `Row.relative_error`."""
    second: float
    """The same of the gradients of gradients."""
    cases: int
    """Derivatives that were compared with differences, one by one, in both orders."""

    @classmethod
    def of(cls, first: GradientReport, second: GradientReport) -> "Certificate":
        """Sum up the reports of both orders."""
        cases = sum(row.count for report in (first, second) for row in report.rows)
        return cls(first.cell, first.worst, second.worst, cases)
