"""Replay: a recording run again from some step on, with a state or a gate replaced."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from rnnkit.core.cell import State
from rnnkit.errors import KindError, ShapeError, UnknownNameError, UsageError, nearest
from rnnkit.inspection.activations import Replace
from rnnkit.inspection.gate_names import Gate, Gates
from rnnkit.inspection.gate_values import GateVisitor
from rnnkit.inspection.passage import traverse
from rnnkit.inspection.recording import Recording, kept_on, width_of
from rnnkit.inspection.result import Numbers, Values
from rnnkit.inspection.study import undisturbed
from rnnkit.inspection.subject import Part
from rnnkit.inspection.wording import listed, number
from rnnkit.support.figures import COLOURS, legend_below, line_style

Replacement: TypeAlias = "float | Tensor | Values | Recording"
"""A number, a tensor that fits after broadcasting, or another recording, of which the same tensor at the same step."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Replay(Recording):
    """A recording with a change, and what the change did; see `replay`."""

    title = "Replay"

    at: tuple[int, ...]
    """The steps at which something was replaced."""
    replaced: tuple[str, ...]
    """What was: names of states and gates."""
    undone: tuple[str, ...] = ()
    """What an earlier replay had replaced, and this one has not."""
    changes: dict[str, Numbers]
    """By name, "output" first: the norm of the difference at each step (T,), the mean over the rows."""

    @property
    def reading(self) -> str:
        """What the numbers say, in one sentence."""
        change = self.changes["output"]
        undone = f"Undoing what was replaced before ({listed(self.undone)})" if self.undone else "Running again"
        what = f"Replacing {listed(self.replaced)}" if self.replaced else undone
        if not any(values.any() for values in self.changes.values()):
            return f"{what} changes nothing, to the last bit."
        if not change.any():
            return f"{what} changes states, and no output."
        if not np.isfinite(change).all():
            return f"{what} changes what is not finite: see .changes."
        most = int(change.argmax())
        return (
            f"{what} changes the output from step {int(np.flatnonzero(change)[0])} on, most at step {most} (by "
            f"{number(float(change[most]))}), and at the last step by {number(float(change[-1]))}."
        )

    @property
    def normal(self) -> str:
        """What is normal, in one sentence."""
        return "What is replaced once is felt for as long as the cell remembers, and dies out after that."

    @property
    def advice(self) -> str:
        """What to do when it is not normal, in one sentence."""
        return "If a change dies out too soon or grows, look at rnnkit.inspection.gradient_flow and lyapunov_spectrum."

    def _draw(self, axes: Any) -> None:
        for which, (name, values) in enumerate(self.changes.items()):
            axes.plot(np.where(values > 0, values, np.nan), label=name, **line_style(which), **width_of(name))
        if self.at:
            area = {"color": COLOURS[-1], "alpha": 0.2, "linewidth": 0, "label": "replaced"}
            axes.axvspan(self.at[0] - 0.5, self.at[-1] + 0.5, **area)
        axes.set_xlim(-0.5, len(self.outputs) - 0.5)
        if any((values > 0).any() for values in self.changes.values()):
            axes.set_yscale("log")
        axes.set_xlabel("step")
        axes.set_ylabel("norm of the difference")
        axes.grid(alpha=0.3)
        legend_below(axes)


def replay(
    recording: Recording,
    *,
    at: int | slice | None = None,
    states: Mapping[str, Replacement] | None = None,
    gates: Mapping[str, Replacement] | None = None,
) -> Replay:
    """Run a recording again, with states or gates replaced at some steps, and say what that changes.

        replay(recording, at=10, states={"c": 0.0})              # what if the cell forgot all that was before step 10?
        replay(recording, at=slice(10, None), gates={"f": 1.0})  # what if it forgot nothing from step 10 on?
        replay(recording, at=10, states={"h": other})            # what if its past were that of another recording?

    Steps before the first change are taken from the recording; a layer that goes backwards is run as a whole. Without a
    change everything is equal to the bit. Of a replay that is run again, earlier replacements from the first new one on
    are not made again.

    Args:
        recording: what `record` or `replay` returned.
        at: steps in time, from 0; negative ones count from the end; None: all of them.
        states: by name ("c", in a stack "c_l1_reverse"): what the steps read in place of their own state.
        gates: by name, as `recording.gates` has them: what the activation gives in place of its own result.

    Raises:
        UnknownNameError: no such state or gate.
        UsageError: no such step, or a value that does not fit.
    """
    if not isinstance(recording, Recording):
        raise KindError(f"the recording is a {type(recording).__name__}; give what rnnkit.inspection.record returned")
    tape = recording.tape
    steps = _steps(at, len(tape.xs))
    states, gates = dict(states or {}), dict(gates or {})
    _check_names("state", states, recording.states)
    _check_names("gate", gates, recording.gates)
    backwards = any(part.reverse for part in tape.subject.parts)
    start = steps[0] if (states or gates) and not backwards else 0
    known = {name: values[:start] for name, values in tape.gates.items()}
    visitor = _Replacing(tape.named, known, steps, len(tape.xs), states, gates)
    device = tape.xs.device.type
    with undisturbed(tape.seed), torch.no_grad(), torch.autocast(device, enabled=False):
        passage = traverse(tape.subject, tape.xs, visitor, start=start, past=tape.passage)
        tape = tape._replace(passage=passage, gates=visitor.values)
    kept = kept_on(tape)
    return Replay(
        subject=recording.subject,
        notes=recording.notes,
        tape=tape,
        **kept,
        at=tuple(steps) if states or gates else (),
        replaced=(*states, *gates),
        undone=recording.replaced if isinstance(recording, Replay) else (),
        changes=_changes(recording, kept),
    )


class _Replacing(GateVisitor):
    """Replaces states and gates at some steps, and notes the gates."""

    def __init__(
        self,
        named: dict[str, Gates],
        known: Mapping[str, list[Tensor]],
        steps: range,
        length: int,
        states: dict[str, Replacement],
        replaced: dict[str, Replacement],
    ) -> None:
        super().__init__(named, known=known)
        self._steps, self._length, self._states, self._replaced = steps, length, states, replaced

    def _applies(self, part: Part, step: int) -> bool:
        return (self._length - 1 - step if part.reverse else step) in self._steps

    def before(self, part: Part, step: int, state: State) -> State:
        """Return the state with what is to be replaced of it."""
        if not self._applies(part, step):
            return state
        return tuple(
            self._state(part, which, step, name, tensor)
            for which, (name, tensor) in enumerate(zip(part.state_labels(), state, strict=True))
        )

    def _state(self, part: Part, which: int, step: int, name: str, tensor: Tensor) -> Tensor:
        if name not in self._states:
            return tensor
        value = self._states[name]
        if isinstance(value, Recording):
            value = _of_other(value, part, name, lambda run: run.states[step][which])
        return _fitting(f"state {name!r}", value, tensor)

    def replacement(self, part: Part, step: int) -> Replace | None:
        """Return what changes the activations of a step."""
        named = self._named[part.suffix].gates
        gates = [gate for gate in named if gate.name + part.suffix in self._replaced]
        if not gates or not self._applies(part, step):
            return None

        def replace(number: int, result: Tensor) -> Tensor:
            for gate in gates:
                if gate.activation == number:
                    result = self._gate(part, step, gate, result)
            return result

        return replace

    def _gate(self, part: Part, step: int, gate: Gate, result: Tensor) -> Tensor:
        name = gate.name + part.suffix
        value = self._replaced[name]
        if isinstance(value, Recording):
            value = _of_other(value, part, name, lambda _: value.tape.gates[name][step])
        changed = result.clone()
        units = changed[..., gate.units] if changed.ndim else changed
        units.copy_(_fitting(f"gate {name!r}", value, units))
        return changed


def _of_other(other: Recording, part: Part, name: str, take: Any) -> Tensor:
    """Return a tensor of another recording."""
    for run in other.tape.passage.runs:
        if run.part.suffix == part.suffix and (name in other.states or name in other.gates):
            try:
                taken: Tensor = take(run)
            except (IndexError, KeyError):
                break
            return taken
    raise UsageError(f"{name!r} is to come from a recording of {other.subject}, which has none at this step")


def _fitting(what: str, value: Any, like: Tensor) -> Tensor:
    """Return a value as a tensor like another; raises ShapeError if it does not fit."""
    try:
        return torch.as_tensor(value).detach().to(like).expand(like.shape)
    except (TypeError, ValueError, RuntimeError):
        shape = f" of shape {tuple(value.shape)}" if hasattr(value, "shape") else ""
        kind = f"{type(value).__name__}{shape}"
        raise ShapeError(f"{what} is replaced by a {kind}; it must fit {tuple(like.shape)}") from None


def _steps(at: int | slice | None, length: int) -> range:
    """Return steps in time, at least one."""
    every = range(length)
    if at is None:
        return every
    if isinstance(at, slice):
        chosen = every[at]
        if not chosen or chosen.step < 0:
            raise UsageError(f"at is {at}, which names no step of 0 to {length - 1} in their order")
        return chosen
    if not isinstance(at, int) or isinstance(at, bool):
        raise KindError(f"at is {at!r}; it must be a step or a slice of steps")
    if not -length <= at < length:
        raise UsageError(f"at is {at}; the recording has steps 0 to {length - 1}")
    return range(every[at], every[at] + 1)


def _check_names(noun: str, asked: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for name in asked:
        if name not in known:
            raise UnknownNameError(
                f"the recording has no {noun} {name!r}{nearest(name, known)}; there are {', '.join(known) or 'none'}"
            )


def _changes(before: Recording, after: Mapping[str, Any]) -> dict[str, Numbers]:
    """Return the norms of all differences, of outputs and states."""
    pairs = {"output": (before.outputs, after["outputs"])}
    pairs |= {name: (values, after["states"][name]) for name, values in before.states.items()}
    return {name: _norms(one, other) for name, (one, other) in pairs.items()}


def _norms(one: Values, other: Values) -> Numbers:
    same = (one == other) | (np.isnan(one) & np.isnan(other))  # equal infinities differ by nothing, and so do two NaN
    with np.errstate(invalid="ignore"):
        difference = np.where(same, 0, other - one.astype(other.dtype))
    norms: Numbers = np.linalg.norm(difference.reshape(*one.shape[:2], -1), axis=2).mean(1)
    return norms
