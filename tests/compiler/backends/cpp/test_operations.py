"""Each backend that writes kernels knows every pointwise operation of the ir."""

import inspect
import shutil
import subprocess
from pathlib import Path

import pytest

import rnnkit_compiler.backends.cpp
from rnnkit_compiler.backends.cpp.building.toolchain import toolchain
from rnnkit_compiler.backends.cpp.code.operations import CODE, expression
from rnnkit_compiler.ir.operations import OPERATIONS
from rnnkit_compiler.ir.special import VJPS


def test_every_operation_has_its_text_in_cpp():
    assert set(CODE) == set(OPERATIONS)


@pytest.mark.parametrize("op", OPERATIONS)
def test_the_text_takes_the_operands_that_the_derivative_takes(op):
    taken = inspect.signature(OPERATIONS[op].vjp).parameters
    names = [f"operand{k}" for k in range(3)]
    written = [name for name in names if name in expression(op, names)]
    if op == "instead":  # its second operand is for derivatives alone
        assert written == names[:1]
    elif "operands" not in taken:  # those without a derivative take any number
        assert len(written) == len(taken) - 2
    assert written == names[: len(written)] != []


def test_operands_are_put_in_for_whole_words():
    assert expression("where", ["b", "c", "a"]) == "select(b != 0, c, a)"
    assert expression("tanh", ["x3"]) == "vtanh(x3)"
    assert expression("expand", ["x3"]) == "x3"


@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("real", ["float", "double"])
def test_the_text_of_each_needs_the_headers_of_a_kernel_alone(real, special, tmp_path):
    """The suite's own kernels have the system's headers precompiled, which could hide one that is missing."""
    compiler = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))))
    headers = Path(rnnkit_compiler.backends.cpp.__file__).parent / "headers"
    own = [code for code in CODE.values() if any(f"v{name}(" in code for name in VJPS) == special]
    lines = [f"#define REAL {real}", '#include "kernel.h"', '#include "special.h"' if special else ""]
    lines += [f"vec f{k}(vec a, vec b, vec c) {{ return (void)b, (void)c, {code}; }}" for k, code in enumerate(own)]
    source = tmp_path / "operations.cpp"
    source.write_text("\n".join(lines), encoding="utf-8")
    flags = [*toolchain().flags, "-fsyntax-only", f"-I{headers}"]
    subprocess.run([compiler, *flags, str(source)], check=True)
