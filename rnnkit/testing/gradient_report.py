"""The report of a gradient check: a row for each tensor."""

import json
import math
from dataclasses import asdict, dataclass, field

from rnnkit.errors import CheckError
from rnnkit.support import html_page


@dataclass(frozen=True)
class Row:
    """What the check found for one tensor."""

    tensor: str
    """The input is "input", initial states are "h0" and the like, parameters have their own names."""
    shape: tuple[int, ...]
    gradient_norm: float
    """Euclidean norm of autograd's gradient."""
    absolute_error: float
    """The largest |autograd - difference|."""
    relative_error: float
    """The same over the largest |difference| of the tensor."""
    index: tuple[int, ...]
    """Where it is."""
    problem: str = ""
    """What is wrong, in a sentence; empty if nothing."""

    @property
    def ok(self) -> bool:
        """Whether the gradient is right."""
        return not self.problem

    @property
    def count(self) -> int:
        """Number of derivatives: of the tensor's elements."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class GradientReport:
    """The result of `gradcheck`: a row for the input, each initial state and each parameter."""

    cell: str
    unroller: str
    order: int
    rows: tuple[Row, ...]
    problems: tuple[str, ...] = ()
    """What kept the check from running, one sentence each."""
    notes: tuple[str, ...] = ()
    """What was not demanded, and why, one sentence each."""
    raised: Exception | None = field(default=None, compare=False, repr=False)
    """What the cell raised, where that kept the check from running."""

    @property
    def ok(self) -> bool:
        """Whether every gradient is right."""
        return bool(self.rows) and not self.failures

    @property
    def worst(self) -> float:
        """The largest relative error; not a number where nothing was compared."""
        return max((row.relative_error for row in self.rows), default=math.nan)

    @property
    def failures(self) -> list[str]:
        """One sentence for each fault, naming tensor and index."""
        return [*self.problems, *(row.problem for row in self.rows if row.problem)]

    def to_json(self) -> str:
        """Return the report as one line of JSON; a figure that is not finite becomes a string."""
        rows = [{**asdict(row), "ok": row.ok} for row in self.rows]
        for row in rows:
            row.update({key: str(v) for key, v in row.items() if isinstance(v, float) and v - v != 0})
        return json.dumps(
            {
                "ok": self.ok,
                "cell": self.cell,
                "unroller": self.unroller,
                "order": self.order,
                "rows": rows,
                "problems": self.problems,
            }
        )

    def _repr_html_(self) -> str:
        """Show a row for each tensor in a notebook."""
        rows = [
            (
                row.tensor,
                str(row.shape),
                f"{row.gradient_norm:.6g}",
                f"{row.absolute_error:.1e}",
                f"{row.relative_error:.1e}",
                "ok" if row.ok else "wrong",
            )
            for row in self.rows
        ]
        headings = ["tensor", "shape", "gradient norm", "worst abs", "worst rel", "verdict"]
        verdict = "all gradients agree with central differences" if self.ok else "gradients are wrong"
        head = f"cell {self.cell}, unroller {self.unroller}, order {self.order}: {verdict}"
        table = html_page.table(headings, rows, numbers=headings[2:5])
        return html_page.fragment([html_page.paragraph(head), table, html_page.listing([*self.failures, *self.notes])])

    def raise_if_failed(self) -> "GradientReport":
        """Return the report back, or raise CheckError with every fault."""
        if not self.ok:
            raise CheckError(f"{self.cell} x {self.unroller}, order {self.order}: {self.failures[0]}", self.failures)
        return self
