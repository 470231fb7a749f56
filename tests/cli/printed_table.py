"""A table that a command printed, read again."""

import re


def rows(text):
    """Return the rows of the last table: its headings, then a list of cells each."""
    lines = text.splitlines()
    at = max(k for k, line in enumerate(lines) if line.startswith("─"))
    below = (k for k, line in enumerate(lines) if k > at and re.match(r"\s*$|\d+ of \d+ columns|not in a mean", line))
    end = next(below, len(lines))
    return [re.split(r" {2,}", line.strip()) for line in [lines[at - 1], *lines[at + 1 : end]]]
