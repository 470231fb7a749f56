"""The names in a function: of global values, and of attributes."""

import dis
import re
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType
from typing import Any, NamedTuple

from rnnkit_compiler.trace.special_names import EVALUATING

_GLOBAL = frozenset(("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"))


class Names(NamedTuple):
    """What a function looks up, with the functions and comprehensions inside of it."""

    outside: tuple[str, ...]
    """Among globals."""

    attributes: tuple[str, ...]
    """Of modules, classes and objects; strings that may be such names are among them, for `getattr`."""

    imported: tuple[str, ...]
    """Modules."""


@lru_cache(maxsize=512)
def named_in(code: CodeType) -> Names:
    """Return the names in a code."""
    codes = list(_codes(code))
    steps = [step for one in codes for step in dis.get_instructions(one)]
    outside = dict.fromkeys(step.argval for step in steps if step.opname in _GLOBAL)
    imported = dict.fromkeys(step.argval for step in steps if step.opname == "IMPORT_NAME")
    texts = [text for one in codes for constant in one.co_consts for text in _texts(constant)]
    words = [word for text in texts for word in re.findall(r"[^\W\d]\w*", text)] if EVALUATING & {*outside} else []
    outside |= dict.fromkeys(words)
    attributes = (name for one in codes for name in one.co_names)
    return Names(tuple(outside), tuple(dict.fromkeys((*attributes, *filter(str.isidentifier, texts)))), tuple(imported))


def _texts(constant: Any) -> Iterator[str]:
    if isinstance(constant, str):
        yield constant
    elif isinstance(constant, tuple | frozenset):
        for item in constant:
            yield from _texts(item)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)
