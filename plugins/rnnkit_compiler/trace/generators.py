"""Generators: whose random states a step's draws move on, and where they have to stand between two draws."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from rnnkit_compiler.trace.recording import NotRecordable


class Source:
    """A generator of the user's, by what it is in torch: Python may have several objects for it."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator
        self._key: int = generator._cdata  # type: ignore[attr-defined]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Source) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


def default_of(device: torch.device) -> torch.Generator:
    """Return the generator that draws on a device where none is named."""
    if device.type == "cuda":
        return torch.cuda.default_generators[torch.cuda.current_device() if device.index is None else device.index]
    return torch.default_generator


def remembered(generators: Iterable[torch.Generator]) -> Callable[[], None]:
    """Return what has generators stand again where they stand now."""
    states = [(generator, generator.get_state()) for generator in generators]

    def put_back() -> None:
        for generator, state in states:
            generator.set_state(state)

    return put_back


class Generators:
    """Those that a step draws from while it is recorded, and where each has to stand.

    Every draw moves its generator on a little. One that stands elsewhere at the next draw, in the next run or at the
    end was set by the step, which would draw the same numbers at each step.
    """

    def __init__(self, device: torch.device) -> None:
        self.examples: list[Tensor] | None = None
        """What a run of all rows drew; None: there was none."""
        self._put_back: dict[Source, Callable[[], None]] = {}
        self._states: dict[Source, Tensor] = {}
        self._default = {default_of(torch.device("cpu")), default_of(device)}

    def move(self, generator: torch.Generator | None, device: torch.device) -> None:
        """Move on the generator that a step draws from; raises NotRecordable if the step has set it."""
        source = Source(default_of(device) if generator is None else generator)
        if source not in self._states:
            if self.examples is not None:
                raise NotRecordable("step() draws random numbers from a generator that it makes anew")
            self._put_back[source] = remembered([source.generator])
        self._check(source)
        torch.empty(1, device=source.generator.device).uniform_(generator=source.generator)
        self._states[source] = source.generator.get_state()

    def check(self) -> None:
        """Raise NotRecordable if the step has set a generator."""
        for source in self._states:
            self._check(source)

    @contextmanager
    def unmoved(self) -> Iterator[None]:
        """Have those that were drawn from stand where they stand now when it is left."""
        put_back = remembered(source.generator for source in self._states)
        try:
            yield
        finally:
            put_back()

    def __enter__(self) -> "Generators":
        """Begin a recording, with the default generators where they stand now; who calls puts these back."""
        self.examples = None
        self._states = {Source(own): own.get_state() for own in self._default}
        return self

    def __exit__(self, *_: object) -> None:
        """Have the user's own generators stand where they stood before."""
        while self._put_back:
            self._put_back.popitem()[1]()

    def _check(self, source: Source) -> None:
        if source in self._states and not torch.equal(self._states[source], source.generator.get_state()):
            raise NotRecordable("step() sets the state of a random generator, so that it draws the same at each step")
