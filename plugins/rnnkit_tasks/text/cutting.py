"""Cutting a text into words, so that all joined are the text again, piece by piece."""

import re
from collections.abc import Iterable, Iterator

from rnnkit.errors import DataError
from rnnkit_tasks.text.letters import compiled, marks_in

LINE_END = "\n"

CUT = (
    r"\n"  # a line end
    r"| ?WORD"  # with the blank before it
    r"| ?SIGN"
    r"|[^\S\n]+(?= \S)|[^\S\n]+"  # further blanks, without the one before a word
)

BEFORE_BLANK = re.compile(r".*\S(?=\s)", re.DOTALL)
"""Up to the last place where a word or mark ends at a blank: no word goes on across it."""

LONGEST = 2**24  # characters


def words_of(pieces: Iterable[str], source: str = "the text") -> Iterator[list[str]]:
    """Yield the words of a text that comes in pieces; they do not depend on where it is cut.

    Raises:
        DataError: a word goes on for ever.
    """
    rest = ""
    for piece in pieces:
        text = rest + piece
        whole = BEFORE_BLANK.match(text)
        end = 0 if whole is None else whole.end()
        yield _cut(text[:end])
        rest = text[end:]
        if len(rest) > LONGEST:
            raise DataError(f"{source} has a word of more than {LONGEST:,} characters; give tokens=char or tokens=byte")
    yield _cut(rest)


def _cut(text: str) -> list[str]:
    return compiled(CUT, marks_in(text)).findall(text)
