"""Generators of NumPy's and Python's that a cell holds, as one by which a graph was drawn in `__init__`: their states.

A state that is as it was has drawn nothing. A step that draws changes it, and is seen to write.
"""

import random
from typing import Any

import numpy as np

KINDS = (random.Random, np.random.Generator, np.random.BitGenerator, np.random.RandomState)
KNOWN = frozenset((*KINDS[:2], KINDS[3], np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64))
"""Those whose state is all that there is to them: not of a class that is derived."""

METHODS = frozenset(name for kind in KINDS for name in dir(kind) if not name.startswith("_"))
"""What a step may call or read of one."""


def is_known(value: object) -> bool:
    """Tell whether a value is a generator whose state can be told and put back."""
    return type(value) in KNOWN and (not isinstance(value, np.random.Generator) or type(value.bit_generator) in KNOWN)


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
