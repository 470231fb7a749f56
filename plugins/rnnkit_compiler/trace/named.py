"""The names in a function: of global values, and of attributes."""

import dis
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

from rnnkit_compiler.trace.special_names import EVALUATING

_ATTRIBUTE = frozenset(("LOAD_ATTR", "LOAD_METHOD"))

_GLOBAL = frozenset(("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"))

_WRITTEN = frozenset(("STORE_GLOBAL", "DELETE_GLOBAL"))

COMPARING = "__eq__"
"""What compares objects whole: `named_in` lists it where two values that are not written there are compared."""

_LOADS = _ATTRIBUTE | _GLOBAL | {"LOAD_FAST", "LOAD_DEREF", "LOAD_CLOSURE", "LOAD_FAST_LOAD_FAST", "LOAD_FAST_BORROW"}
"""What ends with the second value of a comparison, if that is neither computed nor written there."""


class Names(NamedTuple):
    """What a function looks up, with the functions and comprehensions inside of it."""

    outside: tuple[str, ...]
    """Among globals, those too that it writes."""

    attributes: tuple[str, ...]
    """Of modules, classes and objects; strings that may be such names are among them, for `getattr`."""

    imported: tuple[str, ...]
    """Modules."""

    chains: tuple[tuple[str, ...], ...]
    """A global and attributes of it, one of the other: `torch.nn.functional` is one of three."""

    asked: tuple[str, ...]
    """Attributes that are in no chain."""

    texts: tuple[str, ...]
    """All that are written there."""

    pieces: tuple[str, ...]
    """Those of them that may be part of a name."""


@lru_cache(maxsize=512)
def stores(code: CodeType) -> bool:
    """Tell whether a code, or one inside of it, sets an attribute of something."""
    return any(step.opname == "STORE_ATTR" for one in _codes(code) for step in dis.get_instructions(one))


@lru_cache(maxsize=512)
def named_in(code: CodeType) -> Names:
    """Return the names in a code."""
    codes = list(_codes(code))
    steps = [step for one in codes for step in dis.get_instructions(one)]
    outside = dict.fromkeys(step.argval for step in steps if step.opname in _GLOBAL | _WRITTEN)
    imported = dict.fromkeys(step.argval for step in steps if step.opname == "IMPORT_NAME")
    texts = [*_texts_in(codes)]
    words = [word for text in texts for word in re.findall(r"[^\W\d]\w*", text)] if EVALUATING & {*outside} else []
    outside |= dict.fromkeys(words)
    attributes = _attributes_in(codes, texts) | dict.fromkeys([COMPARING] if _compares(steps) else [])
    pieces = dict.fromkeys(text for text in texts if len(text) > 1 and re.fullmatch(r"\w+", text))
    chains, asked = _chains(steps)
    return Names(*map(tuple, (outside, attributes, imported, chains, asked, texts, pieces)))


def attributes_in(code: CodeType) -> Iterable[str]:
    """Return the attributes of `named_in` alone, in a tenth of the time."""
    codes = list(_codes(code))
    return _attributes_in(codes, _texts_in(codes))


def _attributes_in(codes: Iterable[CodeType], texts: Iterable[str]) -> dict[str, None]:
    parts = (part for text in texts for part in text.split("."))  # as attrgetter takes them
    return dict.fromkeys((*(name for one in codes for name in one.co_names), *filter(str.isidentifier, parts)))


def _texts_in(codes: Iterable[CodeType]) -> Iterator[str]:
    return (text for one in codes for constant in one.co_consts for text in _texts(constant))


def line_of(code: CodeType, name: str) -> str:
    """Say where a code names something."""
    for one in _codes(code):
        for step in dis.get_instructions(one):
            if step.argval == name and step.positions is not None and step.positions.lineno:
                return f"{Path(one.co_filename).name}:{step.positions.lineno}"
    return f"{Path(code.co_filename).name}:{code.co_firstlineno}"


def _chains(steps: Iterable[dis.Instruction]) -> tuple[dict[tuple[str, ...], None], dict[str, None]]:
    """Find chains of attributes, and attributes of something else."""
    chains: dict[tuple[str, ...], None] = {}
    asked: dict[str, None] = {}
    chain: tuple[str, ...] = ()
    for step in steps:
        if step.opname in _ATTRIBUTE and chain:
            chain = (*chain, step.argval)
        else:
            chains |= dict.fromkeys([chain] if len(chain) > 1 else [])
            chain = (step.argval,) if step.opname in _GLOBAL else ()
            asked |= dict.fromkeys([step.argval] if step.opname in _ATTRIBUTE else [])
    return chains, asked


def _compares(steps: Iterable[dis.Instruction]) -> bool:
    """Tell whether a value may be compared with one that is not a constant: by `==`, `!=` or `in`."""
    before = ""
    for step in steps:
        if before in _LOADS and (step.opname == "CONTAINS_OP" or (step.opname == "COMPARE_OP" and "=" in step.argval)):
            return True
        before = step.opname
    return False


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
