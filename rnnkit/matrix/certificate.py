"""The certificate: what was examined, on what, with which outcome, and the worst error of each cell and unroller."""

import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from rnnkit.matrix.case import CHECKS
from rnnkit.matrix.checks import DIFFERENCE, ROUNDING, SAMPLES, TIMES, ULPS
from rnnkit.matrix.comparison import SMALL
from rnnkit.matrix.problem import HIDDEN, INPUT, ROWS, STEPS
from rnnkit.matrix.record import Record
from rnnkit.matrix.sources import versions
from rnnkit.matrix.truth import DIRECTIONS, STEP
from rnnkit.matrix.verdict import DECLARED, FAILED, PASSED
from rnnkit.plugin.registry import unrollers

FORMAT = 1
"""Of the certificate: it grows with every change by which a reader of an older one would be misled."""


class Effort(NamedTuple):
    """What it took."""

    seconds: float
    """From beginning to end."""

    jobs: int
    """Processes; 0: one, that of the command itself."""

    examined: int
    """Cases; the others were taken over from records that still hold."""


def certificate(records: Sequence[Record], seed: int, effort: Effort) -> dict[str, Any]:
    """Return the certificate of records, as JSON has it."""
    return {
        "format": FORMAT,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "versions": {**versions(), "compiler": _compiler()},
        "seed": seed,
        "seeds": "CRC-32 of SEED/CELL/LAYOUT/DIRECTION",
        "sizes": {"steps": STEPS, "rows": ROWS, "input": INPUT, "hidden": HIDDEN},
        "method": {
            "half a difference": STEP,
            "directions of second derivatives": DIRECTIONS,
            "samples of vmap": SAMPLES,
            "tolerance of differences": DIFFERENCE,
            "tolerance of rounding": ROUNDING,
            "tolerance of float32 in last places": ULPS,
            "or times what one rounding of all numbers moves": TIMES,
            "errors are relative to at least": SMALL,
        },
        "effort": {**effort._asdict(), "seconds": round(effort.seconds, 1)},
        "seconds of cases": round(sum(record.seconds for record in records), 1),
        "counts": counts(records),
        "exceptions": exceptions(records),
        "worst": list(worst(records)),
        "failures": [{"case": str(r.case), "reason": r.verdict.reason} for r in records if r.verdict.outcome == FAILED],
    }


def counts(records: Iterable[Record]) -> dict[str, dict[str, int]]:
    """Count the outcomes of each check; of those that passed, how often the plain loop stood in for the unroller."""
    found: dict[str, Counter[str]] = {}
    for record in records:
        counter = found.setdefault(record.case.check, Counter())
        counter[record.verdict.outcome] += 1
        counter["by the loop"] += record.verdict.outcome == PASSED and record.verdict.by_loop
    names = (PASSED, "by the loop", DECLARED, FAILED)
    return {check: {name: found[check][name] for name in names} for check in CHECKS if check in found}


def exceptions(records: Iterable[Record]) -> list[dict[str, Any]]:
    """List the reasons of declared exceptions, the most frequent first, with their cells, unrollers and checks."""
    found: dict[str, list[Record]] = {}
    for record in records:
        if record.verdict.outcome == DECLARED:
            found.setdefault(record.verdict.reason, []).append(record)
    return [
        {
            "reason": reason,
            "count": len(group),
            **{f"{name}s": sorted({getattr(r.case, name) for r in group}) for name in ("cell", "unroller", "check")},
        }
        for reason, group in sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    ]


def worst(records: Iterable[Record]) -> Iterable[dict[str, Any]]:
    """Yield, for each cell, unroller and check, the outcomes and the worst error of those that passed or failed."""
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record.case.cell, record.case.unroller, record.case.check), []).append(record)
    for (cell, unroller, check), group in groups.items():
        outcomes = Counter(record.verdict.outcome for record in group)
        row: dict[str, Any] = {"cell": cell, "unroller": unroller, "check": check, **outcomes}
        tried = [record for record in group if record.verdict.outcome != DECLARED]
        row["by the loop"] = sum(record.verdict.by_loop for record in tried)
        if tried:
            top = max(tried, key=lambda record: record.verdict.error)
            finite = top.verdict.error < float("inf")
            row["error"] = float(f"{top.verdict.error:.2e}") if finite else None
            row |= {"component": top.verdict.component, "case": str(top.case)}
        yield row


def to_text(content: dict[str, Any]) -> str:
    """Return a certificate as JSON with a line for each entry of a list."""
    parts = []
    for key, value in content.items():
        rows = isinstance(value, list) and value
        text = "[\n  " + ",\n  ".join(map(json.dumps, value)) + "\n ]" if rows else json.dumps(value)
        parts.append(f" {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _compiler() -> str:
    """Return the compiler that an unroller says it uses, without its folder; "" where there is none."""
    facts = (kind.facts().get("compiler", "") for kind in unrollers.values())
    return next((fact.rpartition("/")[2] for fact in facts if fact), "")
