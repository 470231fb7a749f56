"""The `autograd.Function`s written in Python that a step applies: what a recording has in their place.

One whose gradient goes element by element becomes a slope, see `applied`; of another the calls of its backward are
kept as they are, see `backward`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.overrides import enable_reentrant_dispatch

from rnnkit_compiler.trace.applied import check_slopes, gradients_of, is_once, operands_of, operator_of
from rnnkit_compiler.trace.backward import example_of, gradient_of, with_backward, with_backward_once
from rnnkit_compiler.trace.linear import check_linear
from rnnkit_compiler.trace.recording import NotRecordable, Recording, Ref

aten = torch.ops.aten


@dataclass
class Functions:
    """Records the backward of each Function once."""

    mode: AbstractContextManager[Any]
    """The recorder, under which backward is called."""

    recording: Recording
    tensors: list[Tensor]
    """Of the recording, by number."""

    emit: Callable[[Any, tuple[Any, ...], dict[str, Any]], list[int]]
    """Makes a call and notes it; returns the numbers of its results."""

    refer: Callable[[Tensor], Ref]
    give: Callable[[Any, tuple[Any, ...], Tensor], int]
    """Notes a call that is not made, and what stands for its result; returns its number."""

    results: dict[Any, int] = field(default_factory=dict)
    """By the node of a Function, the number of its result."""

    def __post_init__(self) -> None:
        self._excluded = torch._C._dispatch_tls_local_exclude_set()
        """What is passed by where the step begins: an operation without a gradient passes autograd by for all below."""

    def result(self, tensor: Tensor, number: int, function: Any, is_within: bool) -> int:
        """Return the number of what a Function gave, with the gradient that its backward gives.

        Backward may read the result itself, whose gradient is not known before: so it is first run for numbers alone.

        Args:
            tensor: what it gave.
            number: of that, as the operations of its forward made it.
            function: its node.
            is_within: whether an operation is on its way, below autograd.
        """
        operands, first, known = operands_of(function, self.tensors), len(self.recording.calls), len(self.tensors)
        (bare,) = self.emit(aten.detach.default, (Ref(number),), {})
        with torch.no_grad():
            example = example_of(tensor.detach(), [operand.detach() for operand in operands], self.recording.rows)
        for way in (self._by_slopes, self._by_backward):
            self.results[function] = bare
            try:
                for grad in (torch.no_grad(), torch.enable_grad()):
                    example = example.detach()
                    with self._above_autograd(is_within), self.mode, grad:
                        made = way(number, function, operands, example)
                    self.results[function] = made()
                break
            except NotRecordable:
                if way == self._by_backward:
                    raise
        calls = self.recording.calls[first:]
        self.recording.for_slopes.update(number for call in calls for number in call.outputs if number is not None)
        self.recording.for_slopes.update(number for number in self.recording.constants if number >= known)
        return self.results[function]

    @contextmanager
    def _above_autograd(self, is_within: bool) -> Iterator[None]:
        """Have autograd see what is called, though an operation below it may be on its way."""
        with enable_reentrant_dispatch() if is_within else nullcontext():
            included = torch._C._dispatch_tls_local_include_set()
            with torch._C._ForceDispatchKeyGuard(included, self._excluded):
                yield

    def _by_slopes(self, number: int, function: Any, operands: Sequence[Tensor], example: Tensor) -> Callable[[], int]:
        """Call backward with ones; return what makes slopes of its results, outside."""
        start = len(self.recording.calls)
        ones = torch.ones(example.shape, dtype=example.dtype, device=example.device)
        gradient = self.refer(ones.requires_grad_(_has_second(function))).number
        slopes, has_second = gradients_of(function, operands, ones.clone(), is_alike=True), _has_second(function)

        def result() -> int:
            numbers = [self.refer(slope).number for slope in slopes]
            check_slopes(function, self.recording, start, gradient, numbers, has_second)
            return self._sloped(number, operands, slopes, operator_of(function))

        return result

    def _sloped(self, number: int, operands: Sequence[Tensor], slopes: Sequence[Tensor], sloped: Any) -> int:
        """Return the number of a tensor with gradients to operands, times slopes."""
        pairs = [(self.refer(operand), self.refer(slope)) for operand, slope in zip(operands, slopes, strict=True)]
        (result,) = self.emit(sloped, (Ref(number), *pairs[0]), {})
        for pair in pairs[1:]:  # each adds nothing but its gradient
            (zeros,) = self.emit(aten.zeros_like.default, (Ref(number),), {})
            (more,) = self.emit(sloped, (Ref(zeros), *pair), {})
            (result,) = self.emit(aten.add.Tensor, (Ref(result), Ref(more)), {})
        return result

    def _by_backward(
        self, number: int, function: Any, operands: Sequence[Tensor], example: Tensor
    ) -> Callable[[], int]:
        """Call backward with what stands for a gradient; return what has its calls belong to the result, outside."""
        example.requires_grad_(_has_second(function))
        start = len(self.recording.calls)
        sources = [self.refer(operand) for operand in operands]
        gradient = Ref(self.give(gradient_of, (self.recording.rows, Ref(number), sources), example))
        made = gradients_of(function, operands, example.clone(), is_alike=False)
        operator = with_backward_once if is_once(function) else with_backward

        def result() -> int:
            gradients = [self.refer(each) for each in made]
            check_linear(function, self.recording, start, gradient.number)
            return self.emit(operator, (Ref(number), gradient, sources, gradients), {})[0]

        return result


def _has_second(function: Any) -> bool:
    """Tell whether the gradient that a backward is called with now may have one itself."""
    return torch.is_grad_enabled() and not is_once(function)
