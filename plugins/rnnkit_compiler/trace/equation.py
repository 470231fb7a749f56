"""The equation of a cell as its author wrote it, for comments in what is generated."""

import inspect
import sys

import rnnkit


def equation_of(cell: rnnkit.Cell) -> str:
    """Return the first indented block of the module's docstring: in rnnkit's own cells, the equation."""
    module = sys.modules.get(type(cell).__module__)
    block: list[str] = []
    for line in (inspect.getdoc(module) or "").splitlines():
        if line.startswith("    "):
            block.append(line[4:])
        elif block and line.strip():
            break
    return "\n".join(block)
