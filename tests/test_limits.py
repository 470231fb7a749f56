"""The source stays in pieces that can be read at once: files, functions, and lists of parameters."""

import ast

import pytest
from house import FILES

FILE_LINES, FUNCTION_LINES, PRIVATE_PARAMETERS = 300, 60, 8


def functions(name):
    tree = ast.parse(FILES[name].read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def is_private(function):
    return function.name.startswith("_") and not function.name.startswith("__")


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_too_long(name):
    assert len(FILES[name].read_text(encoding="utf-8").splitlines()) <= FILE_LINES
    lengths = {function.name: function.end_lineno - function.lineno + 1 for function in functions(name)}
    assert {key: length for key, length in lengths.items() if length > FUNCTION_LINES} == {}
    given = {
        f.name: len([*f.args.posonlyargs, *f.args.args, *f.args.kwonlyargs]) for f in functions(name) if is_private(f)
    }
    assert {key: count for key, count in given.items() if count > PRIVATE_PARAMETERS} == {}
