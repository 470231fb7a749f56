"""The view of a cell in a notebook: its equation, states and parameters."""

import inspect
import sys
from typing import TYPE_CHECKING

from rnnkit.support import html_page

if TYPE_CHECKING:
    from torch.nn import Module

    from rnnkit.core.cell import Cell


def cell_html(cell: "Cell") -> str:
    """Return a cell as HTML: what it is, its equation folded away, a table of states and one of parameters."""
    kind = type(cell)
    sizes = f"input size {cell.input_size}, hidden size {cell.hidden_size}, output size {cell.output_size}"
    head = f"cell {kind.name}, {sizes}"
    module = inspect.getdoc(sys.modules.get(kind.__module__, object())) if kind.__module__ != "__main__" else None
    own = inspect.cleandoc(kind.__doc__ or "")
    states = [(name, str(width)) for name, width in zip(cell.state_names, cell.state_sizes, strict=True)]
    return html_page.fragment(
        [
            html_page.paragraph(head),
            html_page.paragraph(own.partition("\n\n")[0], faint=True) if own else "",
            html_page.details("Equation and source", module) if module else "",
            html_page.table(["state", "width"], states, numbers=["width"]),
            parameters_html(cell),
        ]
    )


def parameters_html(module: "Module") -> str:
    """Return a table of the parameters of a module, with how many numbers each has."""
    named = list(module.named_parameters())
    rows = [(name, " x ".join(map(str, tensor.shape)), f"{tensor.numel():,}") for name, tensor in named]
    total = sum(tensor.numel() for _, tensor in named)
    rows += [("all", "", f"{total:,}")] if len(rows) > 1 else []
    return html_page.table(["parameter", "shape", "numbers"], rows, numbers=["numbers"])
