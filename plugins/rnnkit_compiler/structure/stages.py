"""Stages: state tensors that wait for each other, in the order in which their sequences can be found.

A state tensor that others are made of, and that is made of none of them, has its whole sequence before theirs begins:
to them it is a given. Those that are made of each other are one stage.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from rnnkit_compiler.structure.kinds import PRODUCTS
from rnnkit_compiler.structure.linearity import NONLINEAR, Degrees, degrees_of
from rnnkit_compiler.structure.spans import Spans
from rnnkit_compiler.trace.recording import Recording


@dataclass(frozen=True, eq=False)
class Stage:
    """State tensors of one stage, and how the new ones depend on the old ones."""

    states: tuple[int, ...]
    """Their places in the state."""

    recurs: bool
    """Whether a new one depends on an old one at all; else all steps are one."""

    blocks: Tensor
    """(count, size): the Jacobian couples elements of one block alone; numbers of elements, the tensors' in a row."""

    reason: str
    """Why they are not linear in themselves; empty: they are, given the stages before."""

    @property
    def form(self) -> str:
        """Name the form of the Jacobian."""
        count, size = self.blocks.shape
        if not self.recurs:
            return "zero"
        return "diagonal" if size == 1 else f"block-diagonal, blocks of {size}" if count > 1 else "dense"


def stages_of(recording: Recording, names: Sequence[str], spans: Spans) -> list[Stage]:
    """Return the stages of a recorded step, given the spans of its next states."""
    count = len(names)
    reads = [[spans.depends(recording.next_states[new], old) for old in range(count)] for new in range(count)]
    return [_stage(recording, names, spans, members, reads) for members in _in_order(reads)]


def _in_order(reads: Sequence[Sequence[bool]]) -> list[tuple[int, ...]]:
    """Put what reads each other together, and each group behind what it reads."""
    count = len(reads)
    reached = [{k} for k in range(count)]
    for _ in range(count):
        for k in range(count):
            reached[k] = reached[k].union(*(reached[other] for other in range(count) if reads[k][other]))
    groups = {tuple(other for other in sorted(reached[k]) if k in reached[other]) for k in range(count)}
    return sorted(groups, key=lambda group: (len(reached[group[0]]), group))


def _stage(
    recording: Recording,
    names: Sequence[str],
    spans: Spans,
    members: tuple[int, ...],
    reads: Sequence[Sequence[bool]],
) -> Stage:
    recurs = any(reads[new][old] for new in members for old in members)
    reason = _nonlinearity(recording, names, spans, members) if recurs else ""
    return Stage(members, recurs, _blocks(recording, spans, members), reason)


def _blocks(recording: Recording, spans: Spans, members: tuple[int, ...]) -> Tensor:
    """Return the elements that a stage's Jacobian couples: (count, size)."""
    widths = [len(spans.span(recording.states[k], k)[0]) for k in members]
    everything = torch.arange(sum(widths)).unsqueeze(0)
    width = widths[0]
    if set(widths) != {width}:
        return everything
    least = greatest = torch.arange(width)
    for new in members:
        for old in members:
            low, high = spans.span(recording.next_states[new], old)
            least, greatest = torch.minimum(least, low), torch.maximum(greatest, high)
    # A boundary before unit i: nothing before it reaches to it or beyond, nothing from it on reaches back.
    reach = greatest.cummax(0).values
    back = least.flip(0).cummin(0).values.flip(0)
    starts = [0, *(i for i in range(1, width) if reach[i - 1] < i <= back[i]), width]
    sizes = {stop - start for start, stop in pairwise(starts)}
    if len(sizes) != 1:
        return everything
    units = torch.arange(width).view(len(starts) - 1, -1)
    return torch.cat([units + k * width for k in range(len(members))], dim=1)


def _nonlinearity(recording: Recording, names: Sequence[str], spans: Spans, members: tuple[int, ...]) -> str:
    """Say which operations are not linear in a stage's states; empty: all are."""
    wanted = [recording.next_states[k] for k in members]
    degrees = degrees_of(recording, [recording.states[k] for k in members], wanted)
    if not any(bool((degrees.of(number) == NONLINEAR).any()) for number in wanted):
        return ""
    return "; ".join(_sentences(degrees, names, spans, members))


def _sentences(degrees: Degrees, names: Sequence[str], spans: Spans, members: tuple[int, ...]) -> list[str]:
    entered: dict[str, list[str]] = {}
    for call in degrees.culprits:
        read = [k for k in members if any(spans.depends(number, k) for number in call.reads)]
        said = _manner(call.base_name, [names[k] for k in read])
        called = entered.setdefault(said, [])
        if call.base_name not in called:
            called.append(call.base_name)
    return [f"{said} {', '.join(called)}" for said, called in entered.items()]


def _manner(name: str, states: Sequence[str]) -> str:
    """Say in what way an operation takes what is linear, up to its name."""
    who = " and ".join(states)
    if name == "mul" or name in PRODUCTS:
        return f"what depends on {who} is multiplied by what does too, by"
    if name == "detach":
        return f"{who} {'is' if len(states) == 1 else 'are'} cut off from the gradient by"
    return f"{who} {'enters' if len(states) == 1 else 'enter'}"
