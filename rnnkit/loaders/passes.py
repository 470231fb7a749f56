"""Passes over a loader whose draws come from a seed of their own, and leave all other random states as they were."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import torch

from rnnkit.loaders.source import generators_of
from rnnkit.support.random_states import RandomStates, seed_all

Result = TypeVar("Result")


class SeededPass(Iterator[Any]):
    """One pass: what the loader draws of torch, NumPy and Python, in this process, is a function of the seed.

    Its own generators are seeded too, and as they were between any two batches. Workers are seeded by torch from what
    the loader draws as it begins.
    """

    def __init__(self, opened: Iterable[Any], seed: int) -> None:
        self._generators = generators_of(opened)
        outside = self._now()
        seed_all(seed)
        for generator in self._generators:
            generator.manual_seed(seed)
        self._inside = self._now()
        self._put(outside)
        self._items = self._apart(lambda: iter(opened))

    def __next__(self) -> Any:
        return self._apart(lambda: next(self._items))

    def _apart(self, call: Callable[[], Result]) -> Result:
        """Call with the random states of the pass, and bring back those of everything else."""
        outside = self._now()
        self._put(self._inside)
        try:
            return call()
        finally:
            self._inside = self._now()
            self._put(outside)

    def _now(self) -> tuple[RandomStates, list[torch.Tensor]]:
        return RandomStates.now(gpus=False), [generator.get_state() for generator in self._generators]

    def _put(self, states: tuple[RandomStates, list[torch.Tensor]]) -> None:
        states[0].put()
        for generator, state in zip(self._generators, states[1], strict=True):
            generator.set_state(state)


class Epochs(Iterator[Any]):
    """Pass after pass without end, the seed of each drawn from a generator, which nothing else is drawn from.

    Args:
        begin: begins a pass from a seed.
        empty: what to raise if a pass has nothing to give.
        generator: where the seeds come from.
    """

    def __init__(self, begin: Callable[[int], Iterator[Any]], empty: Exception, generator: torch.Generator) -> None:
        self._begin, self._empty, self._generator = begin, empty, generator
        self._pass: Iterator[Any] | None = None
        self.is_first = False
        """Whether what was given last begins a pass, and so follows from the generator as it was before it."""

    def __next__(self) -> Any:
        self.is_first = False
        if self._pass is not None:
            try:
                return next(self._pass)
            except StopIteration:
                pass
        self._pass, self.is_first = self._begin(drawn_seed(self._generator)), True
        try:
            return next(self._pass)
        except StopIteration:
            raise self._empty from None


def drawn_seed(generator: torch.Generator) -> int:
    """Draw a seed."""
    return int(torch.randint(2**62, (), generator=generator))
