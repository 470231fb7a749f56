"""Constants: tensors of a recording that follow from its literals, sizes and tables, whatever its numbers are."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rnnkit_compiler.trace.recording import FILLED, Call, Recording, Ref


class Constants:
    """Computes constants for a batch of one row: where rows differ, the recording has been refused."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._calls = {number: call for call in recording.calls for number in call.outputs if number is not None}
        self._known: dict[int, Tensor | None] = dict(recording.constants)
        self.tables: list[int] = []
        """The tables that were read, which have to stay as they are."""

    def of(self, number: int) -> Tensor | None:
        """Return a tensor, with one row for the batch; None: it is no constant."""
        if number not in self._known:
            self._known[number] = self._computed(number)
        return self._known[number]

    def _computed(self, number: int) -> Tensor | None:
        if number in self._recording.tables:
            self.tables.append(number)
            return self._recording.tables[number]
        call = self._calls.get(number)
        if call is None:
            return None
        if call.base_name in FILLED:
            given = {read: torch.zeros(self.shape(read), dtype=self._recording.dtypes[read]) for read in call.reads}
        else:
            known = {read: self.of(read) for read in call.reads}
            given = {read: tensor for read, tensor in known.items() if tensor is not None}
            if len(given) < len(known):
                return None
        result = self.apply(call, given)
        return result if isinstance(result, Tensor) else result[call.outputs.index(number)]

    def apply(self, call: Call, given: dict[int, Tensor]) -> Any:
        """Make a call for one row, on these tensors."""
        args, kwargs = self._filled((call.args, call.kwargs), given)
        return call.operator(*args, **kwargs)

    def shape(self, number: int) -> list[int]:
        """Return the shape of a tensor for one row."""
        return [self._for_one_row(size) for size in self._recording.shapes[number]]

    def _filled(self, value: Any, given: dict[int, Tensor]) -> Any:
        if isinstance(value, Ref):
            return given[value.number]
        if isinstance(value, tuple | list):
            return type(value)(self._filled(item, given) for item in value)
        if isinstance(value, dict):
            return {key: self._filled(item, given) for key, item in value.items()}
        return self._for_one_row(value) if type(value) is int else value

    def _for_one_row(self, size: int) -> int:
        return size // self._recording.rows if size and size % self._recording.rows == 0 else size


def index_numbers(calls: Sequence[Call]) -> set[int]:
    """Return the tensors that units are taken by, and what these are made of."""
    found: set[int] = set()
    for call in reversed(calls):
        words = ("index", "indices", "mask") if call.base_name == "masked_scatter" else ("index", "indices")
        given = call.arguments
        found.update(call._replace(args=(), kwargs={word: given[word] for word in words if word in given}).reads)
        if found.intersection(call.outputs):
            found.update(call.reads)
    return found
