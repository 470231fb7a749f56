"""What results learn from: by which inputs of a step they have gradients, so that a call says what the loop says."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from rnnkit_compiler.trace.way_back import leaves_of


class Learned(NamedTuple):
    """Of one result of a step, output or state."""

    always: bool
    """Whether it has a gradient whatever its inputs have: it is made of weights that learn."""

    parts: frozenset[int]
    """The places of the parts of the input that it may have a gradient of."""

    states: frozenset[int]
    """The places of such states."""


def learned_from(results: Sequence[Tensor], parts: Sequence[Tensor], states: Sequence[Tensor]) -> list[Learned]:
    """Tell of each result of a step, run on parts and states that learn if they can, what it learns from."""
    places = [{id(tensor): place for place, tensor in enumerate(given)} for given in (parts, states)]
    found = []
    for result in results:
        leaves = {id(leaf) for leaf in leaves_of([result])}
        of_parts, of_states = (frozenset(known[one] for one in leaves & known.keys()) for known in places)
        found.append(Learned(bool(leaves.difference(*places)), of_parts, of_states))
    return found


class Given(NamedTuple):
    """What of a call learns."""

    parts: Sequence[bool]
    states: Sequence[bool]
    initial: Sequence[bool]
    """Where rows start again; empty if none does."""

    steps: int
    has_lengths: bool


def learns(learned: Sequence[Learned], given: Given) -> list[bool]:
    """Tell of the outputs and of each last state of a call whether it has a gradient in the loop."""
    (output, *states), before, has_output = learned, list(given.states), False
    for _ in range(given.steps):
        current = [one or other for one, other in zip(before, given.initial or before, strict=True)]
        has_output |= _learns(output, given.parts, current)
        after = [_learns(state, given.parts, current) for state in states]
        if given.has_lengths:
            after = [one or other for one, other in zip(after, before, strict=True)]
        if after == before:
            break
        before = after
    return [has_output, *before]


def _learns(result: Learned, parts: Sequence[bool], states: Sequence[bool]) -> bool:
    return result.always or any(parts[k] for k in result.parts) or any(states[k] for k in result.states)
