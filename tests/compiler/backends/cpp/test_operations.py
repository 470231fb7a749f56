"""Each backend that writes kernels knows every pointwise operation of the ir."""

import inspect

import pytest

from rnnkit_compiler.backends.cpp.code.operations import CODE, expression
from rnnkit_compiler.ir.operations import OPERATIONS


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
