"""The Jacobian of a step's new state by the old one: which elements are zero at every state, input and weight."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

import rnnkit
from rnnkit.errors import first_line
from rnnkit_compiler._cache import Cache
from rnnkit_compiler.structure.owners import owners_of
from rnnkit_compiler.structure.spans import Spans, spans_of_states
from rnnkit_compiler.structure.stages import Stage, stages_of
from rnnkit_compiler.trace.asked import asked_by
from rnnkit_compiler.trace.example import example
from rnnkit_compiler.trace.fingerprint import Fingerprint
from rnnkit_compiler.trace.held import Held
from rnnkit_compiler.trace.obstacle import obstacle
from rnnkit_compiler.trace.paths import own_paths
from rnnkit_compiler.trace.random_states import kept
from rnnkit_compiler.trace.record import record, record_projected
from rnnkit_compiler.trace.recording import NotRecordable, Recording

CAPACITY = 512
"""Answers that are kept."""


@dataclass(frozen=True)
class Unproven:
    """Nothing is proven of a step; says why."""

    reason: str
    of_the_call: bool = False
    """Whether it is the call that stands in the way, and not the step."""


@dataclass(frozen=True, eq=False)
class StateJacobian:
    """How the new state depends on the old one, proven from the recorded operations."""

    names: tuple[str, ...]
    """Of the state tensors."""

    blocks: dict[tuple[str, str], str]
    """By new and old tensor: "not", "diagonal" or "dense", which is also what nothing better is proven of."""

    stages: list[Stage]
    """In the order in which their sequences can be found."""

    output: int | None
    """The place in the state of the tensor that also is the output; None: the output is another tensor."""

    counts: tuple[str, ...]
    """State tensors of whole numbers, which have no Jacobian."""

    @property
    def nonlinearity(self) -> str:
        """Say why the states are not linear, stage by stage; empty: they are."""
        return "; ".join(stage.reason for stage in self.stages if stage.reason)

    def lines(self) -> Iterator[str]:
        """Say how each stage depends on itself, a line each."""
        for stage in self.stages:
            who = ", ".join(self.names[k] for k in stage.states)
            how = f"not linear: {stage.reason}" if stage.reason else "linear"
            given = f", given {', '.join(self._given(stage))}" if stage.recurs and self._given(stage) else ""
            yield f"state's Jacobian, {who}: {stage.form}" + (f", {how}{given}" if stage.recurs else "")

    def _given(self, stage: Stage) -> list[str]:
        """Name the states of other stages that a stage's are made of."""
        own = {self.names[k] for k in stage.states}
        read = {old for (new, old), word in self.blocks.items() if new in own and word != "not"}
        return [name for name in self.names if name in read - own]


def jacobian_of(cell: rnnkit.Cell) -> StateJacobian | Unproven:
    """Return what is proven of a cell's step, whoever calls it."""
    return jacobian_for(cell, *example(cell))


def jacobian_for(cell: rnnkit.Cell, xs: Tensor, states: Sequence[Tensor]) -> StateJacobian | Unproven:
    """Return what is proven of a cell's step for such input (T, B, D) and states, and of such a call at all."""
    try:
        fingerprint = Fingerprint(cell)
    except Exception as error:  # a module may answer as it likes
        return Unproven(f"looking at the cell fails ({first_line(error)})")
    if fingerprint.unseen:
        return Unproven(fingerprint.unseen)
    if reason := obstacle(cell, fingerprint, xs, states):
        return Unproven(reason, of_the_call=True)
    if fingerprint.learns_elsewhere:
        return Unproven("step() may read what learns and is no parameter, or parameters by another way")
    forms = tuple((tensor.shape[1:], tensor.dtype) for tensor in states)
    key = (fingerprint.key, xs.shape[2], xs.dtype, xs.device, forms, torch.get_default_dtype())
    return _known.get(key, lambda: _proven(cell, xs, states), type(cell))


def acting_on(cell: rnnkit.Cell, xs: Tensor, states: Sequence[Tensor]) -> Mapping[str, Tensor] | Unproven:
    """Return the unit on which each element of a parameter acts within a step, projection included; see `owners_of`."""
    fingerprint = Fingerprint(cell)
    forms = tuple((tensor.shape[1:], tensor.dtype) for tensor in states)
    key = (fingerprint.key, xs.shape[2], xs.dtype, xs.device, forms, torch.get_default_dtype())
    return _owned.get(key, lambda: _found_owners(cell, xs, states), type(cell))


def _found_owners(cell: rnnkit.Cell, xs: Tensor, states: Sequence[Tensor]) -> Mapping[str, Tensor] | Unproven:
    try:
        with kept(xs):
            recording = record(cell, [xs], states, _step_of_a_sequence)
    except NotRecordable as error:
        return Unproven(str(error))
    if reason := _obstacle(recording):
        return Unproven(reason)
    with torch.device("cpu"):  # whatever the default is
        own = own_paths(cell)
        return {path: owners for path, owners in owners_of(recording).items() if path in own}


def _step_of_a_sequence(cell: rnnkit.Cell, inputs: Sequence[Tensor]) -> rnnkit.Projected:
    """Return what `step` takes, from the input of one step (B, D), as a sequence of one step."""
    return rnnkit.map_parts(lambda part: part[0], cell.project(inputs[0].unsqueeze(0)))


_owned: Cache[Mapping[str, Tensor] | Unproven] = Cache(CAPACITY)
_known: Cache[StateJacobian | Unproven] = Cache(CAPACITY)


def _proven(cell: rnnkit.Cell, xs: Tensor, states: Sequence[Tensor]) -> StateJacobian | Unproven:
    try:
        recording = record_projected(cell, xs, states)
        if any(isinstance(path, Held) for path in recording.weights):
            return Unproven("step() reads a tensor in a list or the like, where another may be on the way back")
        if reason := _obstacle(recording):
            return Unproven(reason)
    except NotRecordable as error:
        return Unproven(str(error))
    except Exception as error:  # of project(), on numbers of our own: the loop says so of the user's, if it is so there
        return Unproven(f"trying the cell fails ({first_line(error)})")
    with torch.device("cpu"):
        return state_jacobian(recording, tuple(cell.state_names))


def _obstacle(recording: Recording) -> str:
    """Say why what is proven of a recording may not hold at the next call; empty: it does."""
    if recording.draws:
        return "step() draws random numbers"
    asked = asked_by(recording)
    return f"step() asks for what is in {', '.join(asked)}, which may change" if asked else ""


def state_jacobian(recording: Recording, names: tuple[str, ...]) -> StateJacobian:
    """Return what is proven of a recorded step."""
    spans = spans_of_states(recording, recording.next_states)
    made = list(zip(names, recording.next_states, strict=True))
    blocks = {(new, old): _word(spans, number, k) for new, number in made for k, old in enumerate(names)}
    same = (k for k, number in enumerate(recording.next_states) if number == recording.output)
    counts = tuple(n for n, number in zip(names, recording.states, strict=True) if not _is_real(recording, number))
    return StateJacobian(names, blocks, stages_of(recording, names, spans), next(same, None), counts)


def _is_real(recording: Recording, number: int) -> bool:
    return recording.dtypes[number].is_floating_point


def _word(spans: Spans, number: int, source: int) -> str:
    """Name the form of one tensor's block by one source."""
    least, greatest = spans.span(number, source)
    own = torch.arange(len(least))
    if bool((least > greatest).all()):
        return "not"
    whole = len(own) == len(spans.span(spans.recording.states[source], source)[0])
    alone = (least > greatest) | ((least == own) & (greatest == own))
    return "diagonal" if whole and bool(alone.all()) else "dense"
