"""What a record depends on: versions, seed, and the source of the cell, the unroller and the matrix itself."""

import hashlib
import inspect
import json
import platform
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch

import rnnkit
from rnnkit.core.cell import Cell
from rnnkit.core.unroller import Unroller
from rnnkit.matrix.case import Case, seed_of
from rnnkit.matrix.problem import HIDDEN, INPUT, ROWS, STEPS
from rnnkit.plugin.cell_spec import choose
from rnnkit.plugin.registry import unrollers
from rnnkit.plugin.resolve import resolve

ROOMS = ("core", "layers", "matrix", "plugin")
"""Rooms of rnnkit's own whose source every case goes through."""


@cache
def versions() -> dict[str, str]:
    """Return the versions of all that computes."""
    return {
        "rnnkit": rnnkit.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "instruction set": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
    }


@cache
def digest(case: Case, seed: int) -> str:
    """Return what tells whether a record of a case still holds: it changes with whatever the record depends on."""
    sizes = [STEPS, ROWS, INPUT, HIDDEN]
    about = [str(case), seed_of(case.problem, seed), sizes, versions(), _own(), *_plugins(case.cell, case.unroller)]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]


@cache
def _own() -> str:
    base = Path(__file__).parents[1]
    return _hash(path for room in ROOMS for path in sorted((base / room).glob("**/*.py")))


@cache
def _plugins(cell: str, unroller: str) -> tuple[str, ...]:
    return _of_cell(cell), _hash(_package(resolve(unroller, Unroller, unrollers, "unroller")))


@cache
def _of_cell(cell: str) -> str:
    """Hash the source of a cell's classes, of those that it wraps, and of what lies beside them for several."""
    choice = choose(cell)
    paths: set[Path] = set()
    for kind in choice.kind.__mro__:
        if issubclass(kind, Cell) and kind.__module__ != Cell.__module__:
            paths |= {_file(kind), *_file(kind).parent.glob("_*.py")}
    inner = choice.options.get("inner")
    return _hash(sorted(paths)) + (_of_cell(inner) if isinstance(inner, str) else "")


def _package(kind: type) -> Iterator[Path]:
    """Yield the files of the package that a class is in; of one that is in no package, its own."""
    top = sys.modules[kind.__module__.partition(".")[0]]
    if hasattr(top, "__path__"):
        yield from sorted(path for folder in top.__path__ for path in Path(folder).glob("**/*.py"))
    else:
        yield _file(kind)


def _file(kind: type) -> Path:
    return Path(inspect.getfile(kind))


def _hash(paths: Iterable[Path]) -> str:
    total: Any = hashlib.sha256()
    for path in paths:
        total.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return str(total.hexdigest())
