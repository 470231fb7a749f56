"""What `rnnkit gradcheck --matrix` shows: what is wrong as it comes, then counts, exceptions and where all of it is."""

import shlex
from typing import TYPE_CHECKING, Any

from rnnkit.cli.output import echo_wrapped, print_json, print_table
from rnnkit.cli.streams import echo
from rnnkit.errors import CheckError

if TYPE_CHECKING:
    from rnnkit.matrix.course import Course
    from rnnkit.matrix.record import Record

LABELS = {"first": "first order", "second": "second order"}
"""What checks are called in sentences, where it is not by their names."""


def tell_record(record: "Record", seed: int, as_json: bool) -> None:
    """Print a record as JSON, or what is wrong with a case and how to repeat it."""
    from rnnkit.matrix.verdict import FAILED

    if as_json:
        echo(record.to_json())
    elif record.verdict.outcome == FAILED:
        echo_wrapped(f"WRONG  {record.case}: {record.verdict.reason}\n       again: {again(record, seed)}")


def again(record: "Record", seed: int) -> str:
    """Return the command that repeats one case."""
    extra = f" --seed {seed}" if seed else ""
    return f"rnnkit gradcheck --case {shlex.quote(str(record.case))}{extra}"


def report(course: "Course", as_json: bool) -> None:
    """Print counts and exceptions, and write the certificate where there is a folder for it.

    Raises:
        CheckError: a case failed.
    """
    content = course.summary()
    path = course.folder.write(course.certificate()) if course.folder else None
    if as_json:
        kept = ("counts", "exceptions", "effort", "versions")
        found = {"certificate": path and str(path), "beside": len(course.beside)}
        print_json({"event": "end", **{key: content[key] for key in kept}, **found})
    else:
        _print_counts(content)
        echo_wrapped(summary(content))
        if path is not None:
            others = f", with {len(course.beside):,} other cases that were recorded there" if course.beside else ""
            echo_wrapped(f"certificate: {path}{others}")
    if course.failures:
        sentences = [f"{record.case}: {record.verdict.reason}" for record in course.failures]
        more = f" (and {len(sentences) - 1} more)" if len(sentences) > 1 else ""
        repeat = again(course.failures[0], course.seed)
        raise CheckError(f"{sentences[0]}{more}; repeat it: {repeat}", sentences)


def _print_counts(content: dict[str, Any]) -> None:
    rows = []
    for check, counts in content["counts"].items():
        tops = [row for row in content["worst"] if row["check"] == check and "error" in row]
        top = max(tops, key=lambda row: float("inf") if row["error"] is None else row["error"], default=None)
        figures = [f"{counts[name]:,}" for name in ("passed", "by the loop", "declared", "failed")]
        unit = " ulp" if check == "float32" else ""
        shown = "" if top is None else f"{top['error']:.1e}{unit}" if top["error"] is not None else "-"
        rows.append((LABELS.get(check, check), *figures, shown, "" if top is None else top["case"]))
    headings = ["check", "passed", "by the loop", "declared", "failed", "worst error", "of"]
    print_table(headings, rows, right=headings[1:6], less=["of", "by the loop", "worst error"])
    if content["exceptions"]:
        echo("")
        exceptions = [(f"{entry['count']:,}", entry["reason"]) for entry in content["exceptions"]]
        print_table(["declared", "reason"], exceptions, right=["declared"])
    echo("")


def summary(content: dict[str, Any]) -> str:
    """Return all counts in one line."""
    counts = content["counts"]
    parts = [f"{LABELS.get(check, check)} {found['passed']:,} passed" for check, found in counts.items()]
    declared, reasons = sum(found["declared"] for found in counts.values()), len(content["exceptions"])
    if declared:
        parts.append(f"{declared:,} exception{'s' * (declared != 1)} declared ({reasons} reason{'s' * (reasons != 1)})")
    parts.append(f"{sum(found['failed'] for found in counts.values()):,} failed")
    total = sum(map(sum, ([found[name] for name in ("passed", "declared", "failed")] for found in counts.values())))
    if known := total - content["effort"]["examined"]:
        parts.append(f"{known:,} taken over from records")
    return ", ".join([*parts, duration(content["effort"]["seconds"])])


def duration(seconds: float) -> str:
    """Return a time in words: 12 min, 8.4 s."""
    return f"{seconds / 60:.0f} min" if seconds >= 100 else f"{seconds:.1f} s"
