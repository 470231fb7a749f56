"""Where an author's class is written: its files, and the lines of what stands in them."""

import ast
import inspect
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from torch import nn

NOT_THE_AUTHORS = {"rnnkit", "torch", *sys.stdlib_module_names}
"""Packages in which nobody looks for a fault of a cell's."""

SETTERS = ("register_buffer", "register_parameter", "add_module")


class Place(NamedTuple):
    """A line of a file."""

    path: str
    line: int

    @classmethod
    def of(cls, frame: FrameType) -> "Place":
        """Return the line that a frame is at."""
        return cls(frame.f_code.co_filename, frame.f_lineno)

    def __str__(self) -> str:
        here = os.getcwd() + os.sep
        return f"{self.path.removeprefix(here)}:{self.line}"


class Author:
    """The source of some classes, with all that they derive from, but for rnnkit's core and torch's.

    Args:
        kinds: the classes; what stands in the first is found first.
    """

    def __init__(self, kinds: Iterable[type]) -> None:
        every = dict.fromkeys(base for kind in kinds for base in kind.__mro__)
        self.classes = [base for base in every if _package(base.__module__) not in NOT_THE_AUTHORS]
        self._packages = {_package(base.__module__) for base in self.classes}

    @classmethod
    def of(cls, module: nn.Module) -> "Author":
        """Return the author of a module and of those inside of it."""
        return cls(map(type, module.modules()))

    def running(self, frame: FrameType | None) -> FrameType | None:
        """Return the innermost frame of the author's from this one outwards, but for those that called the kit."""
        while frame is not None and not str(frame.f_globals.get("__name__")).startswith("rnnkit.testing."):
            if self.wrote(frame):
                return frame
            frame = frame.f_back
        return None

    def raising(self, error: BaseException | None) -> Place | None:
        """Return the innermost of the author's lines that an exception, or what it was made of, came through."""
        while error is not None:
            for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
                if self.wrote(frame):
                    return Place(frame.f_code.co_filename, line)
            error = error.__cause__
        return None

    def wrote(self, frame: FrameType) -> bool:
        """Tell whether a frame runs a function from a file of the author's packages."""
        package = _package(str(frame.f_globals.get("__name__")))
        return package in self._packages and _is_source(frame.f_code.co_filename)

    def definition(self, *names: str) -> Place | None:
        """Return the line of the first of these that is defined in a class: a method or an attribute; or the class's.

        A class's own come before those of its parents.
        """
        for name in names:
            for kind, node in self._nodes():
                for part in node.body:
                    if name in _defined(part):
                        return Place(_file(kind), part.lineno)
        return next((Place(_file(kind), node.lineno) for kind, node in self._nodes()), None)

    def setting(self, name: str) -> Place | None:
        """Return the line at which a method sets `self.NAME`, or registers it under that name; else the class's."""
        for kind, node in self._nodes():
            lines = [part.lineno for part in ast.walk(node) if isinstance(part, ast.expr) and _sets(part, name)]
            if lines:
                return Place(_file(kind), min(lines))
        return self.definition()

    def _nodes(self) -> Iterator[tuple[type, ast.ClassDef]]:
        for kind in self.classes:
            path = _file(kind)
            if _is_source(path) and (node := _classes_of(path, os.stat(path).st_mtime_ns).get(kind.__qualname__)):
                yield kind, node


def _package(module: str) -> str:
    return module.partition(".")[0]


def _file(kind: type) -> str:
    try:
        return inspect.getsourcefile(kind) or ""
    except (OSError, TypeError):
        return ""


def _is_source(path: str) -> bool:
    return path.endswith(".py") and os.path.isfile(path)


@cache
def _classes_of(path: str, changed: int) -> dict[str, ast.ClassDef]:
    """Return the classes of a source, as it was last changed, by their qualified names; none of what cannot be read."""
    try:
        return dict(_classes_in(ast.parse(Path(path).read_bytes()), ""))
    except (OSError, SyntaxError, ValueError):
        return {}


def _classes_in(node: ast.AST, inside: str) -> Iterator[tuple[str, ast.ClassDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield f"{inside}{child.name}", child
            yield from _classes_in(child, f"{inside}{child.name}.")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _classes_in(child, f"{inside}{child.name}.<locals>.")
        else:
            yield from _classes_in(child, inside)


def _defined(node: ast.stmt) -> list[str]:
    """Return the names that a statement of a class's body defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    targets: list[Any] = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _sets(node: ast.expr, name: str) -> bool:
    """Tell whether a node is `self.NAME` that is written to, or a call that registers NAME."""
    if isinstance(node, ast.Attribute):
        return node.attr == name and isinstance(node.ctx, ast.Store)
    if not isinstance(node, ast.Call) or not node.args or not isinstance(node.func, ast.Attribute):
        return False
    first = node.args[0]
    return node.func.attr in SETTERS and isinstance(first, ast.Constant) and first.value == name
