"""The values of gates at every step of a passage."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from rnnkit.core.cell import starting_state, time_slice
from rnnkit.errors import UnknownNameError, UsageError, nearest
from rnnkit.inspection.activations import ActivationWatch, Replace
from rnnkit.inspection.gate_names import Gate, Gates, gates_of
from rnnkit.inspection.passage import Visitor
from rnnkit.inspection.subject import Part, Subject
from rnnkit.layers.step_locals import local_tensors


def gates_of_all(subject: Subject, xs: Tensor, generator: torch.Generator) -> dict[str, Gates]:
    """Name the gates of every cell of a subject, by the cell's suffix.

    Args:
        subject: what is inspected.
        xs: (T, B, D), what the first layer takes.
        generator: of the numbers with which the steps are tried.
    """
    named: dict[str, Gates] = {}
    for part in subject.parts:
        rows = xs.new_zeros(1, 2, part.cell.input_size) if part.layer else xs[:1, :2]
        state = starting_state(part.cell, rows.shape[1], rows)
        named[part.suffix] = gates_of(part.cell, time_slice(part.cell.project(rows), 0), state, generator)
    return named


class GateVisitor(Visitor):
    """Notes the gates of every step.

    Args:
        named: the gates of each cell, by its suffix.
        variables: local variables of `step` to be noted too.
        known: values of steps that came before.
    """

    def __init__(
        self,
        named: dict[str, Gates],
        variables: Sequence[str] = (),
        known: Mapping[str, list[Tensor]] = MappingProxyType({}),
    ) -> None:
        self.values: dict[str, list[Tensor]] = {name: list(values) for name, values in known.items()}
        """By the gate's name and the cell's suffix: (B, ...) a step, in the order of the cell's own steps."""
        self.gates: dict[str, Gate] = {gate.name + suffix: gate for suffix, of in named.items() for gate in of.gates}
        self._named, self._variables = named, variables

    @contextmanager
    def during(self, part: Part, step: int) -> Iterator[Any]:
        """Watch a step."""
        with ExitStack() as stack:
            held = stack.enter_context(local_tensors(part.cell)) if self._variables else {}
            watch = stack.enter_context(ActivationWatch(self.replacement(part, step)))
            yield
        for gate in self._named[part.suffix].gates:
            if gate.activation < len(watch.seen):
                self._note(gate.name + part.suffix, gate.values(watch.seen))
        for name in self._variables:
            if name in held:
                self._note(name + part.suffix, held[name])

    def replacement(self, part: Part, step: int) -> Replace | None:
        """Return what changes the activations of a step; None: nothing does."""
        return None

    def _note(self, name: str, value: Tensor) -> None:
        self.values.setdefault(name, []).append(value.detach())


def choose_names(named: dict[str, Gates], wanted: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Return which gates are asked for, suffixes and all, and which local variables beside them.

    Raises:
        UnknownNameError: a name is neither a gate of some cell nor a local variable of its step.
    """
    every = {gate.name + suffix: gate.name for suffix, of in named.items() for gate in of.gates}
    if wanted is None:
        return list(every), []
    if not wanted:
        raise UsageError("gates is empty; name some, or leave it out for all")
    variables = {name for of in named.values() for name in of.variables}
    chosen: list[str] = []
    others: list[str] = []
    for name in [wanted] if isinstance(wanted, str) else wanted:
        labels = [label for label, own in every.items() if name in (label, own)]
        if not labels and name not in variables:
            known = list(dict.fromkeys([*every.values(), *sorted(variables)]))
            raise UnknownNameError(
                f"no cell has a gate {name!r}{nearest(name, known)}; there are {', '.join(known) or 'none'}"
            )
        chosen += labels
        others += [] if labels else [name]
    return chosen, others
