"""The equations of a cell, as its docstring has them."""

import inspect
import sys
from textwrap import dedent

from rnnkit.core.cell import Cell
from rnnkit.layers.wrapper import nested_cells


def equations_of(cell: Cell) -> str:
    """Return the indented block of a cell's docstring, its module's or its class's, of a wrapper's inner cell too.

    That is what `rnnkit cells NAME` shows first. Empty if there is none.
    """
    blocks = []
    for one in nested_cells(cell):
        kind = type(one)
        texts = (inspect.getdoc(sys.modules.get(kind.__module__)) or "", inspect.getdoc(kind) or "")
        blocks.append(next(filter(None, map(indented_block, texts)), ""))
    return "\n\n".join(filter(None, blocks))


def indented_block(text: str) -> str:
    """Return the first lines of a text that are indented, without the indentation; blank lines between them stay."""
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("    "):
            lines.append(line)
        elif lines and line.strip():
            break
        elif lines:
            lines.append("")
    return dedent("\n".join(lines)).strip()
