"""The dtypes in a step: one of real numbers, which the kernel computes in, and what it stands for besides."""

from collections.abc import Iterator

import torch

from rnnkit_compiler.ir.constants import Constants
from rnnkit_compiler.ir.precision import COMPLEX, Precisions
from rnnkit_compiler.ir.values import NotLowerable
from rnnkit_compiler.ir.whole_numbers import INTEGERS, WholeNumbers
from rnnkit_compiler.trace.recording import Call, Recording
from rnnkit_compiler.trace.split import Split


class Dtypes:
    """What the dtypes of a recording mean to a kernel.

    Raises:
        NotLowerable: its states are of several real dtypes, or of one that is no number.
    """

    def __init__(self, recording: Recording, split: Split, constants: Constants) -> None:
        self._recording = recording
        self.whole = WholeNumbers(recording)
        dtypes = recording.dtypes
        states = [dtypes[number] for number in recording.states]
        found = {COMPLEX.get(dtype, dtype) for dtype in states if dtype not in (torch.bool, *INTEGERS)}
        if not found:
            made = (number for call in split.core for number in call.outputs if number is not None)
            found = {COMPLEX.get(dtypes[number], dtypes[number]) for number in (*split.parts, *made)}
            found = {dtype for dtype in found if dtype.is_floating_point}
        if len(found) != 1:
            raise NotLowerable("its states are of several dtypes")
        (self.real,) = found
        if not self.real.is_floating_point:
            raise NotLowerable(f"its state is {self.real}")
        self.precisions = Precisions(recording, split, self.real, self.whole, constants)

    def is_complex(self, call: Call) -> bool:
        """Tell whether a call reads or makes complex numbers."""
        return any(self._recording.dtypes[number].is_complex for number in _numbers(call))


def _numbers(call: Call) -> Iterator[int]:
    yield from call.reads
    yield from (number for number in call.outputs if number is not None)
