"""What words are made of in any script: letters, digits, and the marks that join a letter, such as vowel signs."""

import re
from functools import cache
from unicodedata import category

PLANES = 0x1F000
"""No mark stands behind it but variation selectors."""

JOINERS = "\u200c\u200d"
"""Zero width: they say whether the letters beside them join, within a word."""


@cache
def compiled(pattern: str, marks: str) -> re.Pattern[str]:
    """Return an expression in which WORD is a word or number, and SIGN another character, blanks aside.

    A word may have apostrophes within. Marks upon a letter or sign go with it, which `\\w` alone would cut off.

    Args:
        pattern: the expression, with these two words in it.
        marks: those of the text; see `marks_in`. All that there are would make every search slow.
    """
    upon = f"[{re.escape(marks)}]" if marks else "(?!)"
    letters = rf"\w+(?:{upon}+\w*)*"
    words = rf"{letters}(?:['’]{letters})*"
    return re.compile(pattern.replace("WORD", words).replace("SIGN", rf"[^\w\s]{upon}*"))


def marks_in(text: str) -> str:
    """Return the combining marks and joiners of a text, in order."""
    return "" if text.isascii() else "".join(sorted(_marks().intersection(text)))


@cache
def _marks() -> frozenset[str]:
    return frozenset([*JOINERS, *(chr(n) for n in range(PLANES) if category(chr(n)).startswith("M"))])
