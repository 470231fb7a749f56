"""The compiler's folders: each imports those before it alone, and says in one sentence what is in it."""

import ast
from pathlib import Path

import pytest

import rnnkit_compiler
from rnnkit_compiler import _candidates, compiled
from rnnkit_compiler.backends.base.backend import Backend

ROOT = Path(rnnkit_compiler.__file__).parent

OWN_BACKENDS = sorted(path.parent.name for path in ROOT.glob("backends/*/backend.py") if path.parent.name != "base")

ORDER = (
    *(
        "_forks",
        "_cache",
        "_devices",
        "trace",
        "_autocast",
        "_narrow",
        "structure",
        "ir",
        "schedule",
        "backends.base",
        "backends.torch",
        "backends.cpp.building",
    ),
    *("backends.cpp.code", *(f"backends.{name}" for name in OWN_BACKENDS if name != "torch"), "_recorded"),
    *(
        "_devices",
        "_candidates",
        "_program",
        "_drawing",
        "_running",
        "_advancing",
        "_bound",
        "_repetition",
        "_writing",
        "_making",
        "_annealing",
        "_contents",
        "_programs",
        "_rivals",
        "_symbols",
    ),
    "compiled",
)
"""Whatever is named here imports only what stands before it, and itself. Torch's operations step in for kernels."""


def module_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def room_of(module):
    """Return the longest entry of ORDER that a module is in; its place in the order."""
    rooms = [room for room in ORDER if module == room or module.startswith(f"{room}.")]
    return max(rooms, key=len)


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rnnkit_compiler"):
            inside = node.module.removeprefix("rnnkit_compiler").lstrip(".")
            yield from [inside] if inside else [alias.name for alias in node.names]


SOURCES = [path for path in sorted(ROOT.rglob("*.py")) if module_of(path) not in ("__init__", "backends")]


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_nothing_imports_a_later_folder(path):
    own = ORDER.index(room_of(module_of(path)))
    later = [other for other in imported(path) if ORDER.index(room_of(other)) > own]
    assert later == []


def test_every_folder_says_in_a_sentence_what_is_in_it():
    folders = {path.parent for path in ROOT.rglob("*.py")}
    for folder in folders:
        said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
        assert said, folder
        assert "\n" not in said, folder
        assert said.endswith("."), folder


def test_the_names_that_users_choose_come_from_the_list_of_backends():
    assert all(issubclass(backend, Backend) for backend in _candidates.BACKENDS)
    assert tuple(backend.name for backend in _candidates.BACKENDS) == compiled.BACKENDS
    assert sorted(compiled.BACKENDS) == OWN_BACKENDS
    assert compiled.BACKENDS[-1] == "torch"  # which takes whatever can be recorded
