"""The recording: every operation of one step of a cell, in order, with what it reads and gives.

A step is run once on small tensors, under a dispatch mode that sees each aten operation below autograd. The batch has
a prime number of rows that divides no size of the cell, so that wherever it stands in a shape it can be told from the
rest.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import rnnkit
from rnnkit_compiler.forks import fork_safe_properties

aten = torch.ops.aten

PRIMES = (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53)

ATTEMPTS = 3
"""Numbers of rows that are tried until none of the sizes that the step makes is a multiple of theirs."""


class NotRecordable(Exception):  # noqa: N818 - a reason, not an error: what raises it falls back
    """The step does something that cannot be run from a recording; says what."""


class Ref(NamedTuple):
    """A tensor of the recording, by its number."""

    number: int


class Call(NamedTuple):
    """One operation: what it reads and the numbers of what it gives (None: something that is no tensor)."""

    operator: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: tuple[int | None, ...]
    several: bool
    """Whether the operation gives a tuple or list, not a bare tensor."""

    @property
    def name(self) -> str:
        """Name it as aten does: "mul.Tensor"."""
        return str(self.operator).removeprefix("aten.")

    @property
    def base_name(self) -> str:
        """Name it without its overload: "mul"."""
        return str(self.operator._schema.name).removeprefix("aten::")

    @property
    def output(self) -> int:
        """Give the number of the first tensor that it gives."""
        return next(number for number in self.outputs if number is not None)

    @property
    def reads(self) -> list[int]:
        """Give the numbers of the tensors that it reads."""
        found: list[int] = []
        _visit((self.args, self.kwargs), lambda ref: found.append(ref.number))
        return found


@fork_safe_properties
@dataclass
class Recording:
    """One step: its inputs, operations and results, all tensors by number."""

    rows: int
    """Rows of the batch that was recorded."""

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

    @cached_property
    def elements(self) -> int:
        """The numbers in all parameters and buffers."""
        return sum(prod(self.shapes[number]) for number in self.weights.values())

    @property
    def is_ambiguous(self) -> bool:
        """Whether a size that the step makes, as by joining tensors, could be taken for several batches."""
        return any(size % self.rows == 0 and size > self.rows for shape in self.shapes for size in shape)


def record(cell: rnnkit.Cell, parts: Sequence[Tensor], states: Sequence[Tensor], nest: Callable[..., Any]) -> Recording:
    """Record one step of `cell`.

    Args:
        cell: whose step is recorded.
        parts: what `project` gave, flat, each (T, B, ...): shapes and dtypes are read.
        states: the state, each (B, ...): shapes and dtypes are read.
        nest: puts a list of parts back into the form that `project` gave.

    Raises:
        NotRecordable: the step reads values, draws numbers, overwrites what others see, or the like.
    """
    tensors = {**dict(cell.named_parameters()), **dict(cell.named_buffers())}
    shapes = (*(t.shape for t in tensors.values()), *(part.shape[2:] for part in parts), *(s.shape[1:] for s in states))
    for rows in _rows_beside({size for shape in shapes for size in shape}):
        recording = _record(rows, cell, tensors, parts, states, nest)
        if not recording.is_ambiguous:
            break
    return recording


def _record(
    rows: int,
    cell: rnnkit.Cell,
    tensors: Mapping[str, Tensor],
    parts: Sequence[Tensor],
    states: Sequence[Tensor],
    nest: Callable[..., Any],
) -> Recording:
    with torch.inference_mode(False), torch.enable_grad():
        recorder = _Recorder(Recording(rows))
        recorder.enter(tensors)
        given = [_example(rows, part.shape[2:], part) for part in parts]
        before = tuple(_example(rows, state.shape[1:], state) for state in states)
        recorder.recording.parts = [recorder.number_of(tensor) for tensor in given]
        recorder.recording.states = [recorder.number_of(tensor) for tensor in before]
        with recorder:
            result = cell.step(nest(given), before)
        rnnkit.check_step(cell, result, before)
        recorder.leave(*result)
        _check_rows(cell, given, before, nest, result)
    return recorder.recording


def _rows_beside(sizes: Collection[int]) -> list[int]:
    """List numbers of rows that can be told from the sizes and their multiples."""
    found = [prime for prime in PRIMES if all(size % prime for size in sizes)]
    if not found:
        raise NotRecordable("its sizes leave no number of rows that could be told from them")
    return found[:ATTEMPTS]


def _check_rows(cell: rnnkit.Cell, parts: list[Tensor], states: rnnkit.State, nest: Any, result: Any) -> None:
    """Raise NotRecordable if a row alone gives other numbers than it does among others.

    One row could by chance be what the batch is reduced to, as its least or its mean; not each of three.
    """
    for row in range(min(PRIMES)):
        only = slice(row, row + 1)
        with torch.no_grad():
            alone = cell.step(nest([part[only] for part in parts]), tuple(state[only] for state in states))
        for one, all_ in zip((alone[0], *alone[1]), (result[0], *result[1]), strict=True):
            tolerance = 1e3 * torch.finfo(one.dtype).eps if one.is_floating_point() else 0.0
            if not torch.allclose(one[0], all_[row], rtol=tolerance, atol=tolerance, equal_nan=True):
                raise NotRecordable("step() mixes the rows of the batch")


def _example(rows: int, shape: Sequence[int], like: Tensor) -> Tensor:
    if like.is_complex():
        raise NotRecordable(f"it has a state or input of {like.dtype}")
    if not like.is_floating_point():
        return torch.zeros(rows, *shape, dtype=like.dtype, device=like.device)
    example = torch.linspace(-0.5, 0.5, rows * torch.Size(shape).numel(), dtype=like.dtype, device=like.device)
    return example.view(rows, *shape).requires_grad_()


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes each operation."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch wraps what is below in its own compiler, whose import takes a second

    def __init__(self, recording: Recording) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.recording = recording
        self._numbers: dict[int, int] = {}
        self._kept: list[Tensor] = []  # so that no id is used twice

    def enter(self, tensors: Mapping[str, Tensor]) -> None:
        """Number the parameters and buffers; tied ones once."""
        for path, tensor in tensors.items():
            known = self._numbers.get(id(tensor))
            self.recording.weights[path] = self.number_of(tensor) if known is None else known

    def number_of(self, tensor: Tensor) -> int:
        """Number a new tensor."""
        number = len(self.recording.shapes)
        self._numbers[id(tensor)] = number
        self._kept.append(tensor)
        self.recording.shapes.append(tuple(tensor.shape))
        self.recording.dtypes.append(tensor.dtype)
        return number

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        _check(func)
        if func is aten.lift_fresh.default and id(args[0]) not in self._numbers:
            result = func(*args)
            self.recording.constants[self.number_of(result)] = result.detach().clone()
            return result
        seen_args, seen_kwargs = _map((args, kwargs), self._ref)
        functional = func
        if func._schema.is_mutable:
            functional = self._functional(func, args[0])
        result = func(*args, **kwargs)
        several = isinstance(result, tuple | list)
        outputs = tuple(
            self.number_of(item) if isinstance(item, Tensor) else None for item in (result if several else (result,))
        )
        self.recording.calls.append(Call(functional, seen_args, seen_kwargs, outputs, several))
        if not torch.is_grad_enabled():  # the step's own no_grad: what it gives has no gradient
            for item in result if several else (result,):
                if isinstance(item, Tensor):
                    self._cut(item)
        return result

    def _cut(self, tensor: Tensor) -> None:
        before = Ref(self._numbers[id(tensor)])
        after = self.number_of(tensor)
        self.recording.calls.append(Call(aten.detach.default, (before,), {}, (after,), False))

    def _ref(self, tensor: Tensor) -> Ref:
        number = self._numbers.get(id(tensor))
        if number is None:
            raise NotRecordable("step() reads a tensor that is neither parameter, buffer, projection nor state")
        return Ref(number)

    def _functional(self, func: Any, target: Tensor) -> Any:
        """Give the operation that makes a new tensor in place of overwriting `target`, which nothing else may see."""
        name = func._schema.name.removeprefix("aten::")
        packet = getattr(aten, name.removesuffix("_"), None) if name.endswith("_") else None
        if packet is None or func._overloadname not in packet.overloads():
            raise NotRecordable(f"step() calls {name}, which overwrites a tensor")
        storage = target.untyped_storage().data_ptr()
        sharing = {id(kept) for kept in self._kept if kept.untyped_storage().data_ptr() == storage}
        if sharing != {id(target)} or (target.is_leaf and target.requires_grad):
            raise NotRecordable(f"step() calls {name} on a tensor that others see")
        return getattr(packet, func._overloadname)

    def leave(self, y: Tensor, states: Sequence[Tensor]) -> None:
        """Note the results, and refuse what has a gradient of its own making."""
        self.recording.output = self._ref(y).number
        self.recording.next_states = [self._ref(state).number for state in states]
        _check_graph([y, *states])
        if any(tensor._backward_hooks for tensor in self._kept if not tensor.is_leaf):
            raise NotRecordable("step() puts hooks on tensors")


def _check(func: Any) -> None:
    if func.namespace != "aten":
        raise NotRecordable(f"step() calls {func}, which is no operation of torch's own")
    if torch.Tag.nondeterministic_seeded in func.tags:
        raise NotRecordable(f"step() draws random numbers ({func}); project() is the place")
    if func is aten._local_scalar_dense.default or torch.Tag.data_dependent_output in func.tags:
        raise NotRecordable("step() reads the values of a tensor")
    if torch.Tag.dynamic_output_shape in func.tags and func is not aten.index.Tensor:
        raise NotRecordable(f"step() calls {func}, whose result has a shape that depends on values")


def _check_graph(tensors: Sequence[Tensor]) -> None:
    """Raise NotRecordable if a Function written in Python is on the way back: the recording shows its forward alone."""
    stack: list[Any] = [tensor.grad_fn for tensor in tensors]
    seen = set()
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if isinstance(node, torch._C._FunctionBase):
            raise NotRecordable(f"step() applies {type(node).__name__.removesuffix('Backward')}, an autograd.Function")
        stack += [following for following, _ in node.next_functions]


def _map(value: Any, function: Callable[[Tensor], Any]) -> Any:
    """Apply a function to each tensor in tuples, lists and dicts."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, tuple | list):
        return type(value)(_map(item, function) for item in value)
    if isinstance(value, dict):
        return {key: _map(item, function) for key, item in value.items()}
    return value


def _visit(value: Any, function: Callable[[Ref], Any]) -> None:
    if isinstance(value, Ref):
        function(value)
    elif isinstance(value, tuple | list):
        for item in value:
            _visit(item, function)
    elif isinstance(value, dict):
        for item in value.values():
            _visit(item, function)
