"""The recording: every operation of one step of a cell, in order, with what it reads and returns."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnkit_compiler._forks import fork_safe_properties
from rnnkit_compiler.trace.learned import Learned
from rnnkit_compiler.trace.naming import Place

ROWS = 2**31 - 1
"""The number of rows of the batch in the shapes and arguments of a recording: a prime that is no size of a cell, so
that wherever it stands it means the batch, and each of its multiples several batches."""

FILLED: dict[str, int | None] = {
    **dict.fromkeys(("new_zeros", "zeros_like"), 0),
    **dict.fromkeys(("new_ones", "ones_like"), 1),
    **dict.fromkeys(("new_full", "full_like")),
}
"""Operations that take a tensor for its dtype, device or shape, and what they fill another with; None: `fill_value`."""


class NotRecordable(Exception):  # noqa: N818 - a reason, not an error: what raises it falls back
    """The step does something that cannot be run from a recording; says what."""

    place = ""
    """The author's line that does it; empty: not known."""

    asked: tuple[str, ...] = ()
    """The paths of what the step has asked for before: if that has other values, it may be recordable."""

    def placed(self, place: str) -> "NotRecordable":
        """Return what says the same and, if it did not before, where that is."""
        if self.place or not place:
            return self
        found = NotRecordable(f"{self} ({place})")
        found.place, found.asked = place, self.asked
        return found


class WritingStep(NotRecordable):
    """The step writes on its cell, or on what is beside it, what nobody would write if it were run from a recording.

    Args:
        paths: the attributes, by their paths in the cell; "" stands for what is beside it.
        always: whether it does so at each step; else what it has written once stays.
    """

    def __init__(self, paths: tuple[str, ...], always: bool) -> None:
        named = ", ".join(path or "what is beside it" for path in paths)
        super().__init__(f"step() changes the cell ({named}){'' if always else ' the first time'}; the loop keeps that")
        self.paths, self.always = paths, always


class Ref(NamedTuple):
    """A tensor of the recording, by its number."""

    number: int


class Call(NamedTuple):
    """One operation: what it reads and the numbers of what it returns (None: something that is no tensor)."""

    operator: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: tuple[int | None, ...]
    several: bool
    """Whether the operation returns a tuple or list, not a bare tensor."""

    @property
    def name(self) -> str:
        """Name it as aten does: "mul.Tensor"."""
        return str(self.operator).removeprefix("aten.")

    @property
    def base_name(self) -> str:
        """Name it without its overload: "mul"."""
        return str(self.operator._schema.name).removeprefix("aten::")

    @property
    def arguments(self) -> dict[str, Any]:
        """Return the arguments by name, defaults filled in."""
        schema = self.operator._schema.arguments
        given = dict(zip((argument.name for argument in schema), self.args, strict=False)) | self.kwargs
        return {argument.name: given.get(argument.name, argument.default_value) for argument in schema}

    @property
    def output(self) -> int:
        """Return the number of the first tensor that it returns."""
        return next(number for number in self.outputs if number is not None)

    @property
    def reads(self) -> list[int]:
        """Return the numbers of the tensors that it reads."""
        numbers: list[int] = []
        _visit((self.args, self.kwargs), lambda ref: numbers.append(ref.number))
        return numbers


@fork_safe_properties
@dataclass
class Recording:
    """One step: its inputs, operations and results, all tensors by number."""

    rows: int = ROWS
    """What stands for the rows of the batch in shapes and arguments."""

    parts: list[int] = field(default_factory=list)
    states: list[int] = field(default_factory=list)
    weights: dict[str, int] = field(default_factory=dict)
    """Parameters and buffers, by their path in the cell."""

    constants: dict[int, Tensor] = field(default_factory=dict)
    """Tensors that the step makes of literals."""

    calls: list[Call] = field(default_factory=list)
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    dtypes: list[torch.dtype] = field(default_factory=list)
    output: int = -1
    next_states: list[int] = field(default_factory=list)
    tables: dict[int, Tensor] = field(default_factory=dict)
    """Buffers of integers and booleans as they are now: by some of them, units may be taken."""
    names: dict[int, str] = field(default_factory=dict)
    """What the author calls some of the tensors."""
    places: dict[int | None, Place | None] = field(default_factory=dict)
    """Where the author's code makes some of them."""
    for_slopes: set[int] = field(default_factory=set)
    """The numbers of what was made for the gradients of Functions written in Python: calls that no step makes."""
    asked: set[int] = field(default_factory=set)
    """The numbers of buffers and the like whose values the step asks for: it holds as long as they have the same."""
    answered: set[int] = field(default_factory=set)
    """The numbers of what it asked for, which is made of these."""
    conditions: list[int] = field(default_factory=list)
    """The numbers of masks that have to be true everywhere."""
    is_conditional: bool = False
    """Whether an output that is no number may stand for an error of torch's."""
    for_one_row: bool = True
    """Whether a batch of one row is stepped by these operations as well."""
    writes: tuple[str, ...] = ()
    """The attributes that each step writes and none has read before that, by their paths: the last step's stay."""
    learned: list[Learned] = field(default_factory=list)
    """Of the output and each next state, what it has gradients of."""
    draws: list[Any] = field(default_factory=list)
    """What the last of the parts are, if they are drawn: each a `Draw`, in the order of the step."""

    @cached_property
    def learns_always(self) -> bool:
        """Whether every result has a gradient, whatever the inputs have."""
        return all(one.always for one in self.learned)

    @cached_property
    def elements(self) -> int:
        """The numbers in all parameters and buffers."""
        return sum(prod(self.shapes[number]) for number in self.weights.values())

    @cached_property
    def raises(self) -> bool:
        """Whether it may raise: it solves, which does so of a singular matrix, or has conditions."""
        return self.is_conditional or any(call.kwargs.get("check_errors") is True for call in self.live)

    def place_of(self, call: Call) -> Place | None:
        """Return where the author makes a call; None: it is not known."""
        return next((self.places[number] for number in call.outputs if number in self.places), None)

    @property
    def is_plain(self) -> bool:
        """Whether it neither raises nor draws nor writes."""
        return not (self.raises or self.draws or self.writes)

    @property
    def drawn(self) -> list[int]:
        """The numbers of the parts that are drawn."""
        return self.parts[len(self.parts) - len(self.draws) :]

    @property
    def results(self) -> list[int]:
        """The numbers of the output and of the next states."""
        return [self.output, *self.next_states]

    @property
    def live(self) -> list[Call]:
        """The calls that the results depend on."""
        return calls_for(self.calls, self.results)


def calls_for(calls: list[Call], wanted: list[int], given: frozenset[int] = frozenset()) -> list[Call]:
    """Choose the calls that make what is wanted, and what these need; what is given need not be made."""
    numbers = {*wanted} - given
    chosen = []
    for call in reversed(calls):
        if numbers.intersection(call.outputs):
            chosen.append(call)
            numbers.update(number for number in call.reads if number not in given)
    return chosen[::-1]


def map_tensors(value: Any, function: Callable[[Tensor], Any]) -> Any:
    """Apply a function to each tensor in tuples, lists and dicts."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, tuple | list):
        return type(value)(map_tensors(item, function) for item in value)
    if isinstance(value, dict):
        return {key: map_tensors(item, function) for key, item in value.items()}
    return value


def literal(value: Any) -> str:
    """Write an argument, or several, without saying which tensors are in it."""
    if isinstance(value, Ref):
        return "tensor"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, dict):
        return ", ".join(f"{key}={literal(item)}" for key, item in value.items())
    return repr(value)


def _visit(value: Any, function: Callable[[Ref], Any]) -> None:
    if isinstance(value, Ref):
        function(value)
    elif isinstance(value, tuple | list):
        for item in value:
            _visit(item, function)
    elif isinstance(value, dict):
        for item in value.values():
            _visit(item, function)
