"""Spans: the least and the greatest element of each state tensor that an element depends on."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from rnnkit_compiler.structure.flow import ROWS, Flow
from rnnkit_compiler.trace.recording import Recording, calls_for

FAR = 1 << 30
"""Beyond every element."""


class Spans(Flow):
    """Carries spans through a recording, one for each source; a source is a tensor whose elements have numbers.

    A mark is a pair for each source, the least number with its sign changed and the greatest, so that both grow as
    more is depended on.
    """

    def __init__(self, recording: Recording, sources: Sequence[int]) -> None:
        given = {number: own_numbers(recording, number, k, len(sources)) for k, number in enumerate(sources)}
        super().__init__(recording, given, _nothing(len(sources)))

    def span(self, number: int, source: int) -> tuple[Tensor, Tensor]:
        """Return the least and the greatest element of a source, for each element of a row of a tensor; (E,) each.

        Where there is none the least is greater than the greatest.
        """
        marks = self.of(number)[0].reshape(-1, len(self.nothing))
        return -marks[:, 2 * source], marks[:, 2 * source + 1]

    def depends(self, number: int, source: int) -> bool:
        """Tell whether a tensor, which may be without rows, depends on a source."""
        marks = self.of(number)
        return bool((-marks[..., 2 * source] <= marks[..., 2 * source + 1]).any())


def spans_of_states(recording: Recording, wanted: Sequence[int]) -> Spans:
    """Carry the elements of the state to what is wanted, tensors by number."""
    spans = Spans(recording, recording.states)
    spans.run(calls_for(recording.calls, list(wanted)))
    return spans


def _nothing(sources: int) -> Tensor:
    return torch.tensor([-FAR, -1] * sources, dtype=torch.int64, device="cpu")


def own_numbers(recording: Recording, number: int, k: int, sources: int) -> Tensor:
    """Mark each element of a row by its own number."""
    features = recording.shapes[number][1:]
    marks = _nothing(sources).repeat(prod(features), 1)
    marks[:, 2 * k] = -torch.arange(prod(features))
    marks[:, 2 * k + 1] = torch.arange(prod(features))
    return marks.view(1, *features, 2 * sources).expand(ROWS, *features, 2 * sources)
