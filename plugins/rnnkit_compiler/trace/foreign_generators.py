"""Generators of NumPy's and Python's that a cell holds, as one by which a graph was drawn in `__init__`: their states.

A step that draws from one changes its state while it is recorded. What others draw in between is nothing to the step.
"""

import random
from collections.abc import Iterable
from types import BuiltinMethodType
from typing import Any

import numpy as np

KINDS = (random.Random, np.random.Generator, np.random.BitGenerator, np.random.RandomState)
KNOWN = frozenset((*KINDS[:2], KINDS[3], np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64))
"""Those whose state is all that there is to them: not of a class that is derived."""

STATES = frozenset(("getstate", "get_state", "state", "bit_generator"))
"""By what a step may read what one will draw, without its drawing."""


def is_known(value: object) -> bool:
    """Tell whether a value is a generator whose state can be told and put back."""
    return type(value) in KNOWN and (not isinstance(value, np.random.Generator) or type(value.bit_generator) in KNOWN)


def generators_in(values: Iterable[Any]) -> list[Any]:
    """List the generators among some values, and those whose methods are: `self.draw = generator.normal`."""
    owners = (value.__self__ if isinstance(value, BuiltinMethodType) else value for value in values)
    return [*{id(owner): owner for owner in owners if is_known(owner)}.values()]


class Drawn:
    """Tells whether some generators have drawn since it was made.

    Args:
        generators: which are known.
    """

    def __init__(self, generators: Iterable[Any]) -> None:
        self._before = [(generator, written(state_of(generator))) for generator in generators]

    def kind(self) -> str:
        """Return the kind of one that has; empty: none has."""
        found = (type(one).__name__ for one, before in self._before if written(state_of(one)) != before)
        return next(found, "")


def state_of(generator: Any) -> Any:
    """Return the state of such a generator, for `set_state`."""
    if isinstance(generator, random.Random):
        return generator.getstate()
    if isinstance(generator, np.random.RandomState):
        return generator.get_state(legacy=False)
    return generator.bit_generator.state if isinstance(generator, np.random.Generator) else generator.state


def set_state(generator: Any, state: Any) -> None:
    """Have a generator go on from a state."""
    if isinstance(generator, random.Random):
        generator.setstate(state)
    elif isinstance(generator, np.random.RandomState):
        generator.set_state(state)
    elif isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    else:
        generator.state = state


def written(state: Any) -> str:
    """Write a state down whole."""
    if isinstance(state, dict):
        return ",".join(f"{name}:{written(value)}" for name, value in state.items())
    return state.tobytes().hex() if isinstance(state, np.ndarray) else repr(state)
