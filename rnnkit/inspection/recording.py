"""The recording: everything that a subject did over a sequence, to be looked at and to be run again with a change."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rnnkit.inspection.coordinates import array_of
from rnnkit.inspection.gate_names import Gates
from rnnkit.inspection.gate_values import GateVisitor, gates_of_all
from rnnkit.inspection.passage import Passage, traverse
from rnnkit.inspection.result import Inspection, Values
from rnnkit.inspection.study import Drawn, studying
from rnnkit.inspection.subject import Subject
from rnnkit.inspection.wording import count, listed, number
from rnnkit.support.figures import legend_below, line_style


class Tape(NamedTuple):
    """What is needed to run a recording again."""

    subject: Subject
    xs: Tensor
    seed: int
    named: dict[str, Gates]
    """The gates of each cell, by its suffix."""
    passage: Passage
    gates: dict[str, list[Tensor]]
    """Their values, by name: (B, ...) a step, in the order of the cell's own steps."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Recording(Inspection):
    """Outputs, states and gates of a whole sequence; see `record`. Time comes first, in every direction."""

    title = "Recording"

    outputs: Values
    """(T, B, O)."""
    states: dict[str, Values]
    """By name: the state after each step (T, B, ...)."""
    initial: dict[str, Values]
    """By name: the state before the first step of the cell, (B, ...)."""
    gates: dict[str, Values]
    """By name: the values of the gate (T, B, ...)."""
    tape: Tape = field(repr=False)
    """Tensors from which `replay` runs it again."""

    @property
    def reading(self) -> str:
        """What the numbers say, in one sentence."""
        norms = np.linalg.norm(self.outputs.reshape(*self.outputs.shape[:2], -1), axis=2).mean(1)
        finite = np.isfinite(norms)
        if not finite.all():
            return f"The output is not finite, the first time at step {int(np.argmin(finite))}."
        return (
            f"{count(len(self.outputs), 'step')} of {count(self.outputs.shape[1], 'row')} are kept, with states "
            f"{listed(self.states)}{' and gates ' if self.gates else ''}{listed(self.gates)}; the norm of the output "
            f"runs from {number(float(norms.min()))} to {number(float(norms.max()))}."
        )

    @property
    def normal(self) -> str:
        """What is normal, in one sentence."""
        return "After some steps the norms of the states settle, and follow the input."

    @property
    def advice(self) -> str:
        """What to do when it is not normal, in one sentence."""
        return "Run it again with a state or a gate held fixed (rnnkit.inspection.replay), to see what depends on it."

    def rows(self) -> list[tuple[str, str]]:
        """Return the main numbers, each with what it is."""
        kept = {"output": self.outputs, **self.states, **self.gates}
        means = {name: number(float(abs(values).mean())) for name, values in kept.items()}
        return [(name, f"{kept[name].shape}, mean |value| {mean}") for name, mean in means.items()]

    def _draw(self, axes: Any) -> None:
        kept = {"output": self.outputs, **self.states}
        for which, (name, values) in enumerate(kept.items()):
            norms = np.linalg.norm(values.reshape(*values.shape[:2], -1), axis=2)
            axes.plot(norms.mean(1), label=name, **line_style(which), **width_of(name))
        axes.set_xlabel("step")
        axes.set_ylabel("norm, mean over the rows")
        axes.grid(alpha=0.3)
        legend_below(axes)


def record(
    subject: Any,
    inputs: Any = None,
    *,
    steps: int = 64,
    batch_size: int = 8,
    seed: int = 0,
    **options: Any,
) -> Recording:
    """Keep all outputs, states and gates of a sequence.

    Args:
        subject: a cell's name, expression or class, a Cell, an `rnnkit.RNN` or an `rnnkit.Model`.
        inputs: as the subject takes them, (T, B, D), or symbols (T, B); None: from a standard normal distribution.
        steps: T, where inputs are drawn.
        batch_size: B, where inputs are drawn.
        seed: of everything that is drawn.
        **options: `input_size` (8), `hidden_size` (32) and the cell's own, for a cell by name or class.

    Raises:
        UsageError: an argument that cannot be honoured. ShapeError: inputs that do not fit.
    """
    with studying(subject, inputs, Drawn(steps, batch_size, seed, options)) as study, torch.no_grad():
        xs = study.xs
        named = gates_of_all(study.subject, xs, study.generator)
        visitor = GateVisitor(named)
        torch.default_generator.manual_seed(seed)  # so that `replay` draws the same, if a cell draws at all
        passage = traverse(study.subject, xs, visitor)
        tape = Tape(study.subject, xs, seed, named, passage, visitor.values)
        notes = [*study.notes, *dict.fromkeys(note for gates in named.values() for note in gates.notes)]
        return Recording(subject=study.subject.label, notes=tuple(notes), tape=tape, **kept_on(tape))


def width_of(name: str) -> dict[str, float]:
    """Return how a line is drawn: that of the output broad and pale, for it often is a state too."""
    return {"linewidth": 5, "alpha": 0.5} if name == "output" else {"linewidth": 1.6}


def kept_on(tape: Tape) -> dict[str, Any]:
    """Return what a recording shows of its tape."""
    states: dict[str, Values] = {}
    initial: dict[str, Values] = {}
    for run in tape.passage.runs:
        for which, name in enumerate(run.part.state_labels()):
            states[name] = _array(run.in_time([state[which] for state in run.returned]))
            initial[name] = array_of(run.states[0][which])
    gates: dict[str, Values] = {}
    for run in tape.passage.runs:
        names = [gate.name + run.part.suffix for gate in tape.named[run.part.suffix].gates]
        gates |= {name: _array(run.in_time(tape.gates[name])) for name in names if name in tape.gates}
    return {"outputs": array_of(tape.passage.outputs), "states": states, "initial": initial, "gates": gates}


def _array(tensors: Sequence[Tensor]) -> Values:
    return array_of(torch.stack(list(tensors)))
