"""A process of its own for what must be measured from the start."""

import os
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Any, ParamSpec, TypeVar

import torch

from rnnkit.benchmark.machine import keep_memory
from rnnkit.errors import ResourceError, UsageError

Given = ParamSpec("Given")
Result = TypeVar("Result")

CACHE = "RNNKIT_CACHE"
"""The environment variable that names the folder of what unrollers keep on disk."""


@dataclass(frozen=True)
class Conditions:
    """What a process measures under; `settle` puts it in force for the process."""

    threads: int | None = None
    """Of torch; None: torch's own choice."""

    keep: bool = False
    """Whether freed memory stays with the process."""

    cache: str | None = None
    """The folder of what unrollers keep on disk; None: their own."""

    def settle(self) -> None:
        """Put it in force, once; ResourceError where memory cannot be kept."""
        if self.cache is not None:
            os.environ[CACHE] = self.cache
        if self.keep:
            keep_memory()
        if self.threads is not None:
            torch.set_num_threads(self.threads)


def in_new_process(function: Callable[Given, Result], *given: Given.args, **named: Given.kwargs) -> Result:
    """Call a function in a process that is started for it; returns what it returns, raises what it raises.

    Raises:
        UsageError: something given is known in this process alone. ResourceError: the process was killed.
    """
    try:
        call = pickle.dumps(partial(function, *given, **named))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UsageError(
            f"another process cannot be given this cell or unroller ({error}); define its class in a module"
        ) from None
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            result: Result = pool.submit(_call, call).result()
        except BrokenProcessPool:
            raise ResourceError("the process that measures was killed; for want of memory? try smaller sizes") from None
    return result


def _call(pickled: bytes) -> Any:
    """Call what was pickled; here, so that what cannot be read is an error like any other and ends no process."""
    return pickle.loads(pickled)()
