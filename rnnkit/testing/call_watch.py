"""The calls of torch that an author's code makes, one after the other, each with the line that makes it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NamedTuple

from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from rnnkit.testing.author import Author, Place


class Call(NamedTuple):
    """A call of torch, as it has just returned."""

    place: Place
    name: str
    given: list[Tensor]
    result: Any
    in_function: bool
    """Whether it is made within an autograd function, where no gradient is taken."""

    @property
    def results(self) -> list[Tensor]:
        """The tensors of what it returned."""
        return tensors_in(self.result)


class CallWatch(TorchFunctionMode):
    """Watches, while it is in force, what the author's code asks of torch.

    Args:
        author: whose lines count.
        look: is called after each call; where it returns True, that is the place in question, if it is the first.
    """

    def __init__(self, author: Author, look: Callable[[Call], bool] = lambda call: False) -> None:
        super().__init__()
        self.place: Place | None = None
        """Where `look` was first satisfied; None: nowhere."""
        self.author = author
        self._look = look
        self._made: list[tuple[Place, list[Tensor]]] = []
        self._returned: list[tuple[Place, Any]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Make the call, and look at it."""
        result = func(*args, **(kwargs or {}))
        frame = self.author.running(sys._getframe(1))
        if frame is not None:
            name, given = getattr(func, "__name__", ""), tensors_in((args, kwargs))
            call = Call(Place.of(frame), name, given, result, _in_function(frame))
            self._made.append((call.place, call.results))
            if self.place is None and self._look(call):
                self.place = call.place
        return result

    def origin(self, value: Any) -> Place | None:
        """Return the line that made a tensor, or else the one that returned it, or a tuple with it."""
        for places in (self._made, self._returned):
            for place, results in places:
                if results is value or (isinstance(results, list) and any(result is value for result in results)):
                    return place
        return None

    @contextmanager
    def watching(self) -> Iterator["CallWatch"]:
        """Watch what returns, too; a profiler that is at work pauses meanwhile."""

        def note(frame: FrameType, event: str, argument: Any) -> None:
            if event == "return" and isinstance(argument, Tensor | tuple | list) and self.author.wrote(frame):
                self._returned.append((Place.of(frame), argument))

        before = sys.getprofile()
        sys.setprofile(note)
        try:
            with self:
                yield self
        finally:
            sys.setprofile(before)


def _in_function(frame: FrameType) -> bool:
    """Tell whether a frame runs the forward or backward of an autograd function, whose context comes first."""
    names = frame.f_code.co_varnames
    return bool(names) and isinstance(frame.f_locals.get(names[0]), FunctionCtx)


def tensors_in(values: Any) -> list[Tensor]:
    """Return the tensors of what a call was given, or returned."""
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]
