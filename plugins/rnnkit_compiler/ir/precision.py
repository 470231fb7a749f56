"""Tensors of another precision than the step's, where a kernel that computes in one gives the same numbers.

In a step of low precision, float32 on the way and constants in it: kernels compute in it anyway. In one of higher
precision, what was given in a lower one, since each number of the lower is one of the higher; and what was made in it
of truths and of small whole numbers, as masks are, since these are exact in both.
"""

from collections.abc import Collection, Iterable, Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor

from rnnkit_compiler.ir.constants import Constants
from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.lowered import InFloat32, Invariant
from rnnkit_compiler.ir.values import NotLowerable, Value
from rnnkit_compiler.ir.whole_numbers import INTEGERS, SAME, SMALL, SUMS, WholeNumbers, numbers_of
from rnnkit_compiler.trace.recording import Call, Recording, Ref
from rnnkit_compiler.trace.split import Split

COMPLEX = {torch.complex64: torch.float32, torch.complex128: torch.float64}
"""Pairs of real numbers."""


LOW = (torch.bfloat16, torch.float16)
"""Kernels in these compute in float32, and read constants in it."""


class Precisions:
    """Which tensors of a recording may have another precision.

    Args:
        recording: of the step.
        split: of it.
        real: the dtype that is computed in.
        whole: the bounds of its integers.
        constants: of the recording.
    """

    def __init__(
        self, recording: Recording, split: Split, real: torch.dtype, whole: WholeNumbers, constants: Constants
    ) -> None:
        self._recording, self._real, self._integers, self._constants = recording, real, whole, constants
        self._read = {*recording.results, *(number for call in split.core for number in call.reads)}
        self._made = {number for call in split.core for number in call.outputs}
        self._parts = {*split.parts}
        self._wholes: dict[int, float] = {}
        """The largest that a number may be, of tensors of whole numbers in a lower precision."""

    def check(self, call: Call) -> None:
        """Note what a call makes; raise NotLowerable if it reads or makes what kernels would have otherwise."""
        for number in self._read.intersection(made_by(call)):
            size = self._size(call) if self._is_lower(number) else None
            if size is not None and size <= SMALL:
                self._wholes[number] = size
        for number in self._read.intersection((*call.reads, *made_by(call))):
            if not self._is_right(number):
                raise NotLowerable(f"{call.name} has a tensor of {self._recording.dtypes[number]} beside {self._real}")

    def is_right_output(self, number: int) -> bool:
        """Tell whether the kernel's precision is enough for the output."""
        return self._precision(number) in (self._real, *EXACT) or self._is_lower(number)

    def in_float32(
        self, values: Mapping[int, Value], vectors: Iterable[Invariant], matrices: Iterable[Invariant]
    ) -> InFloat32:
        """Return what a step of low precision has in float32; nothing of another step.

        Args:
            values: by their numbers, in the order in which they are made; a node is what it is first made as.
            vectors: that kernels read.
            matrices: that they multiply by, in the step's own precision.

        Raises:
            NotLowerable: one of the matrices is a constant that this would round.
        """
        if not all(self._is_given_exactly(matrix.number) for matrix in matrices):
            raise NotLowerable(f"a matrix of constants is {torch.float32} beside {self._real}")
        constants = {vector.number for vector in vectors if not self._is_given_exactly(vector.number)}
        first: dict[Node, int] = {}
        for number, value in values.items() if self._real in LOW else ():
            first.setdefault(value.node, number)
        own = {node for node, number in first.items() if self._recording.dtypes[number] != torch.float32}
        return InFloat32(constants, own if len(own) < len(first) else set())

    def _is_given_exactly(self, number: int) -> bool:
        if self._real not in LOW or self._recording.dtypes[number] != torch.float32:
            return True
        constant = self._constants.of(number)
        return constant is None or is_exact(constant, self._real)

    def _precision(self, number: int) -> torch.dtype:
        dtype = self._recording.dtypes[number]
        return COMPLEX.get(dtype, dtype)

    def _is_lower(self, number: int) -> bool:
        dtype = self._precision(number)
        return dtype.is_floating_point and dtype.itemsize < self._real.itemsize

    def _is_right(self, number: int) -> bool:
        dtype = self._precision(number)
        if dtype in (self._real, *EXACT) or not self._recording.shapes[number]:
            return True
        if number in self._made:
            return number in self._wholes or (dtype == torch.float32 and self._real.itemsize < dtype.itemsize)
        return (self._is_lower(number) and number not in self._parts) or self._is_constant(number)

    def _is_constant(self, number: int) -> bool:
        """Tell whether a tensor is a constant that kernels read as it is."""
        constant = self._constants.of(number) if self._recording.dtypes[number].is_floating_point else None
        if constant is None:
            return False
        return (constant.dtype == torch.float32 and self._real in LOW) or is_exact(constant, self._real)

    def _size(self, call: Call) -> float | None:
        """Return the largest that a number of a call's result may be; None: it may be any, or no whole one."""
        name, given = call.base_name, call.arguments
        found = [self._size_of(value) for value in numbers_of(given)]
        sizes: list[float] = [size for size in found if size is not None]
        if len(sizes) < len(found):
            return None
        if name in SAME:
            return max(sizes, default=1.0)
        if name in SUMS and len(sizes) == 2 and float(given["alpha"]).is_integer():
            return sizes[0] + sizes[1] * abs(float(given["alpha"]))
        if name == "mul" and len(sizes) == 2:
            return sizes[0] * sizes[1]
        if name == "sum" and sizes:
            shape = self._recording.shapes[given["self"].number]
            return sizes[0] * float(prod(size for size in shape if size % self._recording.rows))
        return None

    def _size_of(self, value: Any) -> float | None:
        if not isinstance(value, Ref):
            return abs(float(value)) if float(value).is_integer() else None
        if self._precision(value.number) not in EXACT:
            return self._wholes.get(value.number)
        bound = self._integers.of(value)
        return None if bound.carried else bound.plus


EXACT: Collection[torch.dtype] = (torch.bool, *INTEGERS)
"""What has one precision."""


def is_exact(tensor: Tensor, dtype: torch.dtype) -> bool:
    """Tell whether a dtype has all numbers of a tensor."""
    return torch.allclose(tensor.to(dtype).to(tensor.dtype), tensor, rtol=0, atol=0, equal_nan=True)


def made_by(call: Call) -> list[int]:
    """Return the numbers of what a call makes."""
    return [number for number in call.outputs if number is not None]
