"""A record: a case, its verdict, and what both depend on, as one line of JSON."""

import json
import math
from dataclasses import asdict, dataclass

from rnnkit.matrix.case import Case
from rnnkit.matrix.verdict import OUTCOMES, Verdict


@dataclass(frozen=True)
class Record:
    """What came of a case."""

    case: Case
    verdict: Verdict
    seconds: float
    digest: str
    """See `sources.digest`."""

    def to_json(self) -> str:
        """Return one line of JSON; an error that is no number is null."""
        values = asdict(self.verdict)
        if not math.isfinite(self.verdict.error):
            values["error"] = None
        return json.dumps({"case": str(self.case), **values, "seconds": round(self.seconds, 4), "digest": self.digest})

    @classmethod
    def read(cls, line: str) -> "Record | None":
        """Read a line; None where it is none, such as one that was cut off by a kill."""
        try:
            values = json.loads(line)
            case, seconds, digest = Case.read(values.pop("case")), values.pop("seconds"), values.pop("digest")
            values["error"] = math.inf if values["error"] is None else float(values["error"])
            verdict = Verdict(**values)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        whole = verdict.outcome in OUTCOMES and isinstance(digest, str) and isinstance(seconds, float)
        return cls(case, verdict, seconds, digest) if whole else None
