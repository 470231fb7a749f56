"""Two cells side by side."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rnnkit.errors import UsageError
from rnnkit.inspection.cell_facts import CellFacts, facts_of
from rnnkit.inspection.flow import GradientFlow, gradient_flow
from rnnkit.inspection.result import Inspection
from rnnkit.inspection.study import Drawn, studying
from rnnkit.inspection.wording import number
from rnnkit.support.figures import legend_below, line_style


@dataclass(frozen=True, kw_only=True, eq=False)
class CellComparison(Inspection):
    """Two cells at one size, on the same inputs; see `compare_cells`."""

    title = "Two cells"

    first: CellFacts
    second: CellFacts
    flows: tuple[GradientFlow, GradientFlow]
    """The gradient flow of each."""
    remarks: tuple[str, ...] = ()
    """What the caller adds: speed, or the stages of the compiler."""

    @property
    def reading(self) -> str:
        """What the numbers say, in one sentence."""
        one, other = self.first, self.second
        parts = [
            _ratio(one.name, other.name, one.parameter_count, other.parameter_count, "parameters"),
            _ratio(one.name, other.name, one.flops, other.flops, "operations a step"),
        ]
        paces = [f"{flow.pace} in {facts.name}" for flow, facts in zip(self.flows, (one, other), strict=True)]
        return f"{parts[0]}; {parts[1]}; far back gradients {paces[0]}, and {paces[1]}."

    @property
    def normal(self) -> str:
        """What is normal, in one sentence."""
        return "Cells with gates have three or four times the weights of one without, and keep gradients for longer."

    @property
    def advice(self) -> str:
        """What to do when it is not normal, in one sentence."""
        return "Compare cells at the same number of parameters, and judge them by training both over several seeds."

    def rows(self) -> list[tuple[str, str]]:
        """Return the main numbers of both, each with what it is."""
        rows = []
        for facts, flow in zip((self.first, self.second), self.flows, strict=True):
            kind = "fixed" if facts.fixed else "linear" if facts.linear else "not linear"
            own = [
                ("parameters", f"{facts.parameter_count:,}"),
                ("operations a step", f"{facts.flops:,}"),
                ("states", ", ".join(f"{name} {shape}" for name, shape in facts.states.items())),
                ("step in the state", f"{kind}; not zero in the Jacobian: {facts.filled}"),
                *((f"{pair}", word) for pair, word in facts.blocks.items()),
                ("half-life of gradients, steps", number(flow.half_life)),
            ]
            rows += [(f"{facts.name}: {label}", value) for label, value in own]
        return rows

    def _draw(self, axes: Any) -> None:
        for which, flow in enumerate(self.flows):
            shown = np.where(flow.total > 0, flow.total, np.nan)
            axes.plot(flow.lags, shown, linewidth=1.6, label=flow.subject, **line_style(which))
        axes.set_xlabel("steps back")
        axes.set_ylabel("norm of the gradient")
        if any((flow.total > 0).any() for flow in self.flows):
            axes.set_yscale("log")
        axes.grid(alpha=0.3)
        legend_below(axes)


def compare_cells(
    first: Any,
    second: Any,
    *,
    remarks: Sequence[str] = (),
    steps: int = 64,
    batch_size: int = 8,
    seed: int = 0,
    input_size: int = 8,
    hidden_size: int = 32,
) -> CellComparison:
    """Put two cells side by side: equations, parameters, work, structure of the step's Jacobian, gradient flow.

    Args:
        first: a cell's name, expression or class, or a Cell.
        second: the other one.
        remarks: lines that are kept with the result.
        steps: T of the inputs that are drawn.
        batch_size: B of these.
        seed: of everything that is drawn.
        input_size: D of cells that are given by name or class.
        hidden_size: H of these.

    Raises:
        UsageError: what is given is no single cell, or their inputs are of different widths.
    """
    sizes: dict[str, Any] = {"input_size": input_size, "hidden_size": hidden_size}
    facts, flows, widths = [], [], []
    for cell in (first, second):
        options = sizes if isinstance(cell, str | type) or callable(getattr(cell, "func", None)) else {}
        with studying(cell, None, Drawn(steps, batch_size, seed, dict(options))) as study:
            if len(study.subject.parts) > 1 or study.subject.readout is not None:
                raise UsageError(f"{study.subject.label} is more than a cell; give one of its cells, such as .cells[0]")
            facts.append(facts_of(study))
            widths.append(study.subject.input_size)
        flows.append(gradient_flow(cell, steps=steps, batch_size=batch_size, seed=seed, **options))
    if widths[0] != widths[1]:
        names = [f"{one.name} has input size {width}" for one, width in zip(facts, widths, strict=True)]
        raise UsageError(f"{names[0]}, {names[1]}; give cells of one size")
    if facts[0].name == facts[1].name:
        facts = [replace(one, name=f"{one.name} ({place})") for one, place in zip(facts, ("A", "B"), strict=True)]
    return CellComparison(
        subject=f"{facts[0].name} and {facts[1].name}",
        notes=tuple(dict.fromkeys(note for flow in flows for note in flow.notes)),
        first=facts[0],
        second=facts[1],
        flows=(flows[0], flows[1]),
        remarks=tuple(remarks),
    )


def _ratio(one: str, other: str, first: int, second: int, what: str) -> str:
    """Say how many times as many the one has."""
    if first == second:
        return f"both have {first:,} {what}"
    if not first or not second:
        return f"{one} has {first:,} {what}, {other} {second:,}"
    return f"{one} has {number(first / second)} times the {what} of {other}"
