"""What a lowering adds to a recording: tensors of literals, and calls that are made once a call of the layer's."""

from typing import Any

import torch
from torch import Tensor

from rnnkit_compiler.trace.recording import Call, Recording, Ref
from rnnkit_compiler.trace.split import Split


class Additions:
    """Adds to a recording and its split.

    Args:
        recording: whose tensors get further numbers.
        split: whose calls once a call get further ones.
        real: the kernel's dtype.
    """

    def __init__(self, recording: Recording, split: Split, real: torch.dtype) -> None:
        self._recording, self._split, self._real = recording, split, real
        self._made: set[int] = set()
        self._literals: list[int] = []
        self.sources: list[int] = []
        """Invariants of which a kernel has what is made of them."""

    def number(self, shape: tuple[int, ...], dtype: torch.dtype) -> int:
        """Return the number of one more tensor."""
        self._recording.shapes.append(shape)
        self._recording.dtypes.append(dtype)
        return len(self._recording.shapes) - 1

    def constant(self, tensor: Tensor) -> Ref:
        """Add a tensor of literals, in the kernel's dtype; one that is there already stands for it."""
        for number in self._literals:
            if _is_the_same(self._recording.constants[number], tensor.to(self._real)):
                return Ref(number)
        number = self.number(tuple(tensor.shape), self._real)
        self._recording.constants[number] = tensor.to(self._real)
        self._literals.append(number)
        return Ref(number)

    def once(self, operator: Any, args: tuple[Any, ...], shape: tuple[int, ...], dtype: torch.dtype) -> int:
        """Have a call made of parameters once a call of the layer's; return the number of its result.

        One that is made already stands for it.
        """
        for call in self._split.once:
            if call.output in self._made and (call.operator, call.args) == (operator, args):
                return call.output
        number = self.number(shape, dtype)
        self._split.once.append(Call(operator, args, {}, (number,), False))
        self._made.add(number)
        read = (argument.number for argument in args if isinstance(argument, Ref))
        self.sources += [source for source in read if source not in (*self._made, *self.sources)]
        return number


def _is_the_same(one: Tensor, other: Tensor) -> bool:
    """Tell whether literals are equal, signs of zeros too."""
    return torch.equal(one, other) and torch.equal(one.signbit(), other.signbit())
