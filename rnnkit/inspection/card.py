"""The card of a cell: what its docstring says of it, its sizes, and what was measured of it."""

import inspect
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import torch

from rnnkit.core.cell import Cell, building
from rnnkit.inspection.equations import indented_block
from rnnkit.inspection.parameter_formula import parameter_formula
from rnnkit.support.flop_count import flops_of

INPUTS, HIDDEN = 64, 128
"""D and H of the numbers on a card."""

SECTIONS = {
    "Paper": "paper",
    "What differs": "what_differs",
    "When to use it": "when_to_use",
    "Gate order": "gate_order",
    "Initialisation": "initialisation",
}
"""How paragraphs of a cell's docstring begin, and what a card calls them.

A cell may have a method `notes()` that returns some of them by these labels, where it knows them from elsewhere; how
parameters start is said by the docstring of `reset_parameters`, if nowhere else.
"""

MEASURED = "measured.json"
"""The file that a package of cells may hold: by the name of each, what was measured of it."""


@dataclass(frozen=True)
class Card:
    """What there is to know of a cell, without running it over a sequence."""

    title: str
    """The docstring's first line."""
    equation: str
    """In plain text, a line each."""
    said: Mapping[str, str]
    """What is said under the labels of `SECTIONS`, each as one line."""
    gates: tuple[str, ...]
    forget_gate: str | None
    input_gate: str | None
    state: Mapping[str, str]
    """The width of each state tensor, by H where it goes with it."""
    formula: str
    """The number of parameters, such as "2DH + 2H^2 + 4H"; empty if that is no polynomial of D and H."""
    parameters: int
    """Their number for D = 64, H = 128."""
    flops: int
    """Floating-point operations of the products of one step of one row, for D = 64, H = 128."""
    measured: Mapping[str, Any]
    """What was measured where the cell was made: gradient errors, backend, structure, speed, gradient flow."""

    def facts(self) -> dict[str, Any]:
        """Return everything as plain values for JSON."""
        return {
            "title": self.title,
            "equation": self.equation,
            **{name: self.said.get(label, "") for label, name in SECTIONS.items()},
            "gates": list(self.gates),
            "forget_gate": self.forget_gate,
            "input_gate": self.input_gate,
            "state": dict(self.state),
            "parameter_formula": self.formula,
            "parameter_count": self.parameters,
            "flops": self.flops,
            "sizes": {"input_size": INPUTS, "hidden_size": HIDDEN},
            "measured": dict(self.measured),
        }


def card_of(kind: type[Cell], build: Callable[[int, int], Cell] | None = None) -> Card:
    """Return the card of a cell.

    Args:
        kind: its class.
        build: from D and H to a cell with options; None: as it is without any. What was measured is of the latter.

    Raises:
        Exception: whatever its constructor or its step raises.
    """
    make = build or kind
    text = inspect.getdoc(sys.modules.get(kind.__module__)) or inspect.getdoc(kind) or ""
    cell = make(INPUTS, HIDDEN)
    return Card(
        title=text.partition("\n")[0],
        equation=indented_block(text),
        said={**_initialisation(kind), **getattr(cell, "notes", dict)(), **_sections(text)},
        gates=tuple(getattr(cell, "gates", ())),
        forget_gate=getattr(cell, "forget_gate", None),
        input_gate=getattr(cell, "input_gate", None),
        state=_widths(cell),
        formula=parameter_formula(lambda inputs, hidden: _count(make, inputs, hidden)),
        parameters=_count(make, INPUTS, HIDDEN),
        flops=_flops(cell),
        measured={} if build else _measured(kind.__module__.partition(".")[0]).get(kind.name, {}),
    )


def _sections(text: str) -> dict[str, str]:
    """Return what a docstring says under "Paper:", "What differs:" and the like, each as one line."""
    said = {}
    for paragraph in text.split("\n\n"):
        label, colon, rest = " ".join(paragraph.split()).partition(": ")
        if colon and label in SECTIONS and not paragraph.startswith(" "):
            said[label] = rest
    return said


def _initialisation(kind: type[Cell]) -> dict[str, str]:
    """Return the first paragraph of what `reset_parameters` says of itself, if there is one."""
    text = inspect.getdoc(getattr(kind, "reset_parameters", None)) or ""
    return {"Initialisation": " ".join(text.partition("\n\n")[0].split())} if text else {}


def _count(make: Callable[[int, int], Cell], inputs: int, hidden: int) -> int:
    with building("meta", None):
        return sum(parameter.numel() for parameter in make(inputs, hidden).parameters())


def _widths(cell: Cell) -> dict[str, str]:
    shapes = [tuple(tensor.shape[1:]) for tensor in cell.initial_state(1)]
    shown = [" × ".join("H" if size == HIDDEN else str(size) for size in shape) or "1" for shape in shapes]
    return dict(zip(cell.state_names, shown, strict=True))


def _flops(cell: Cell) -> int:
    with torch.no_grad():
        return flops_of(lambda: cell(torch.zeros(1, INPUTS)))


@cache
def _measured(package: str) -> dict[str, dict[str, Any]]:
    """Return what a package of cells holds of measurements."""
    try:
        known: dict[str, dict[str, Any]] = json.loads((files(package) / MEASURED).read_text(encoding="utf-8"))
    except (OSError, ModuleNotFoundError, TypeError):  # none, or no package
        return {}
    return known
