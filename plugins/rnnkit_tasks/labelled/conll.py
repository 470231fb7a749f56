"""Tokens with labels in columns: a token a line, its label in the last column, a blank line between sequences."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rnnkit.errors import DataError
from rnnkit_tasks.labelled.columns import left_out
from rnnkit_tasks.labelled.example import NO_LABEL, Example, Examples
from rnnkit_tasks.text.text_file import TextFile

CONLL = "conll"
"""What the form is called."""

DOCUMENT = "-DOCSTART-"
NOTHING = "has no tokens; give a token and its label a line, and a blank line between sequences"

BLANKS = re.compile(r"[ \t]+")
"""Between the columns of a line; a no-break space is part of a token."""

METADATA = re.compile(r"#\s*\w+\s*=\s")
"""How a comment about a sentence begins."""


def read_conll(path: Path, kept: bool) -> Examples:
    """Read tokens, the first column, and labels, the last; cells are cut at tabs if there are any, else at blanks.

    Lines about documents, and comments, which begin with # and have not as many cells as others, are passed over.

    Args:
        path: of a UTF-8 text file.
        kept: whether it is for a finished run, so that tokens may stand alone.

    Raises:
        DataError: the file is unfit.
    """
    rows = list(_rows(path))
    width = _width(path, rows)
    if width < 2 and not kept:
        first = next(number for number, cells, _ in rows if cells)
        raise DataError(
            f"{path}, line {first}: a token without a label; write the label behind it, after a tab or blank"
        )
    passed: Counter[str] = Counter()
    items: list[Example] = []
    tokens: list[str] = []
    labels: list[str] = []
    lines: list[int] = []
    for number, cells, raw in [*rows, (0, [], "")]:
        document = raw.startswith(DOCUMENT)
        if not cells or document:
            passed["-DOCSTART- line(s)"] += document
            if tokens:
                items.append(Example(tokens, labels, str(path), lines))
                tokens, labels, lines = [], [], []
            continue
        if _is_comment(raw, cells, width):
            passed["comment(s)"] += 1
            continue
        if len(cells) != width:
            first = next(line for line, few, text in rows if len(few) == width and not text.startswith(DOCUMENT))
            raise DataError(
                f"{path}, line {number}: {len(cells)} cell(s), {width} in line {first}; give all lines as many, the "
                "label last"
            )
        tokens.append(cells[0])
        labels.append(cells[-1] if width > 1 else NO_LABEL)
        lines.append(number)
    if not items:
        raise DataError(f"{path} {NOTHING}")
    notes = [f"tokens: column 1 of {width}", f"labels: column {width}" if width > 1 else "labels: none"]
    notes += [f"passed over: {count} {what}" for what, count in passed.items() if count]
    notes += [] if kept else left_out([f"column {place}" for place in range(2, width)])
    return Examples(str(path), items, reading={"format": CONLL}, notes=notes)


def _rows(path: Path) -> Iterator[tuple[int, list[str], str]]:
    """Yield of each line its number, its cells, and itself."""
    lines = [line.rstrip("\n") for block in TextFile(path).blocks() for line in block]
    filled = [line for line in lines if line.strip()]
    tabs = 2 * sum("\t" in line for line in filled) > len(filled)
    for number, line in enumerate(lines, start=1):
        bare = line.strip(" \t\r\n")
        cells = [cell.strip() for cell in line.split("\t")] if tabs and bare else BLANKS.split(bare) if bare else []
        if cells and not all((cells[0], cells[-1])):
            missing = "token" if not cells[0] else "label"
            raise DataError(f"{path}, line {number}: the {missing} is missing; write it, or leave the line out")
        yield number, cells, line


def _width(path: Path, rows: list[tuple[int, list[str], str]]) -> int:
    """Return how many cells most lines have."""
    widths = Counter(len(cells) for _, cells, raw in rows if cells and not raw.startswith((DOCUMENT, "# ")))
    if not widths:
        raise DataError(f"{path} {NOTHING}")
    return widths.most_common(1)[0][0]


def _is_comment(raw: str, cells: list[str], width: int) -> bool:
    return raw.startswith("#") and (len(cells) != width or METADATA.match(raw) is not None)


def looks_like_conll(path: Path) -> bool:
    """Tell whether a file has blank lines between others, as sequences of tokens have and tables have not."""
    text = "".join(line if line.strip() else "\n" for block in TextFile(path).blocks() for line in block)
    return "\n\n" in text.strip()
