"""Which columns of a table hold texts and labels, by their names or else by their looks."""

from collections.abc import Mapping, Sequence

from rnnkit.errors import DataError
from rnnkit_tasks.forecast.roles import quoted
from rnnkit_tasks.table.column import column_of, unlike_numbers
from rnnkit_tasks.table.dates import dates

TEXTS = ("text", "sentence", "review", "message", "content", "comment", "tweet", "body", "document", "utterance", "sms")
LABELS = ("label", "labels", "class", "category", "sentiment", "target", "tag", "intent", "topic", "polarity", "y")
KEYS = (
    "sequence",
    "sequence_id",
    "sentence",
    "sentence_id",
    "sentence #",
    "seq",
    "seq_id",
    "series",
    "series_id",
    "session",
    "session_id",
    "recording",
    "trial",
)
"""What such columns are called, in lower case."""

MOST_LABELS = 0.5
"""Of the rows: with more different cells than this share, a column holds no labels."""

SHOWN = 12
"""Columns that are left out, by name; the rest is counted."""


def by_name(columns: Sequence[str], known: Sequence[str]) -> str | None:
    """Return the column that has one of the known names, the earliest of these; None if there is none."""
    lowered = {name.lower(): name for name in reversed(columns)}
    return next((lowered[name] for name in known if name in lowered), None)


def left_out(names: Sequence[str]) -> list[str]:
    """Return the note that names the columns or keys that nothing reads, as a list; empty if there are none."""
    if not names:
        return []
    more = f", and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return [f"left out: {', '.join(map(quoted, names[:SHOWN]))}{more}"]


def names_above(rows: Sequence[Sequence[str]], asked: Sequence[str | None], known: Sequence[str]) -> str:
    """Say why the first row holds names: a known one or one asked for is there; or its label is nowhere below."""
    first = rows[0]
    for name in asked:
        if name is not None and name in first and not name.isdecimal():  # the place of a column without a name
            return f"it has {name}"
    found = by_name(first, known)
    if found is not None:
        return f"it has {found}"
    below = {str(place): list(cells) for place, cells in enumerate(zip(*rows[1:], strict=True))}
    candidates = [place for place in below if _may_be_labels(below[place])]
    unseen = [place for place in candidates if first[int(place)] not in below[place]]
    return "what stands in it is nowhere below" if candidates and unseen == candidates else ""


def find_labels(source: str, columns: Mapping[str, Sequence[str]], text: str | None) -> str:
    """Return the column of the labels: that of a known name, or the only one that has few different cells, each often.

    Raises:
        DataError: none has, or several.
    """
    named = by_name([name for name in columns if name != text], LABELS)
    if named is not None:
        return named
    found = [name for name, cells in columns.items() if name != text and _may_be_labels(cells)]
    if len(found) > 1 and len(columns) == 2:
        found = [min(found, key=lambda name: (len(set(columns[name])), sum(map(len, columns[name]))))]
    if len(found) == 1:
        return found[0]
    what = "no column of labels" if not found else f"several columns that may hold the labels ({', '.join(found[:5])})"
    raise DataError(f"{source} has {what}; name the column with label=; it has {', '.join([*columns][:12])}")


def find_text(source: str, columns: Mapping[str, Sequence[str]], label: str | None, way: str) -> str:
    """Return the column of the texts: that of a known name, or of those that hold words the one of the longest cells.

    Args:
        source: what messages call the table.
        columns: cells by name.
        label: the column of the labels.
        way: how the column can be named.

    Raises:
        DataError: there is no other column, or all others hold numbers, dates or answers.
    """
    others = [name for name in columns if name != label]
    if not others:
        raise DataError(f"{source} has no column beside the labels; give one with texts, or name the delimiter")
    named = by_name(others, TEXTS)
    if named is not None:
        return named
    texts = [name for name in others if _holds_words(columns[name])]
    if not texts:
        shown = ", ".join(map(quoted, others[:5])) + (", ..." if len(others) > 5 else "")
        raise DataError(
            f"{source} has no column of texts beside the labels, only numbers, dates, yes and no ({shown}); {way} that "
            "is to be read as text, or give sequences of numbers as JSON lines or a folder"
        )
    return max(texts, key=lambda name: sum(map(len, columns[name])))


def _holds_words(cells: Sequence[str]) -> bool:
    return unlike_numbers(column_of(cells)) == "text" and dates(cells) is None


def _may_be_labels(cells: Sequence[str]) -> bool:
    different = len(set(cells))
    return 2 <= different <= max(2, MOST_LABELS * len(cells))
