"""What Triton raises is told in the one line that says what is wrong."""

import pytest
import torch

from rnnkit_compiler.backends.triton import availability, failure
from rnnkit_compiler.backends.triton.library import HEAD
from rnnkit_compiler.backends.triton.loading import load

pytestmark = pytest.mark.skipif(availability.triton_version() is None, reason="Triton is not installed")

WRONG = {
    "a name": ("tanh_of(x)", "NameError: tanh_of is not defined, in: y = tanh_of(x)"),
    "a shape": (
        "x + tl.zeros((1, 16), tl.float32)",
        "ValueError: Cannot make_shape_compatible: incompatible dimensions at index 1: 8 and 16, in: "
        "y = x + tl.zeros((1, 16), tl.float32)",
    ),
    "in a function": (
        "inner(x)",
        "ValueError: Cannot make_shape_compatible: incompatible dimensions at index 1: 8 and 4, in: "
        "return x + tl.zeros((1, 4), tl.float32)",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_an_error_of_the_compiler(kind, monkeypatch, tmp_path):
    if availability.is_interpreted():
        pytest.skip("kernels are interpreted")
    monkeypatch.setenv("TRITON_DEFAULT_FP_FUSION", "1")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    expression, told = WRONG[kind]
    text = f"""{HEAD}

@triton.jit
def inner(x):
    # a line of its own
    return x + tl.zeros((1, 4), tl.float32)  # not seen


@triton.jit
def kernel(p, N: tl.constexpr):
    j = tl.arange(0, N)[None, :]
    x = tl.load(p + j)
    y = {expression}  # not seen
    tl.store(p + j, y)
"""
    source = ASTSource(fn=load(text).kernel, signature={"p": "*fp32", "N": "constexpr"}, constexprs={(1,): 8})
    with pytest.raises(triton.compiler.errors.CompilationError) as raised:
        triton.compile(source, target=GPUTarget("cuda", 90, 32))
    assert failure.in_one_line(raised.value) == told


def test_an_error_for_an_error_is_that_error():
    inner = TypeError("ufunc 'invert' not supported\nfor these types")
    middle, outer = RuntimeError(repr(inner)), RuntimeError(repr(repr(inner)))
    middle.__cause__, outer.__cause__ = inner, middle
    assert failure.in_one_line(outer) == "TypeError: ufunc 'invert' not supported"
    assert failure.root_of(torch.OutOfMemoryError("none left")).args == ("none left",)


@pytest.mark.parametrize(
    ("told", "line"),
    [
        ("ValueError('two\\nlines')", "ValueError: two"),
        ("KeyError('a', 'b')", "KeyError: ('a', 'b')"),
        ("AssertionError()", "AssertionError()"),
        ("said by the compiler (of a product)", "said by the compiler (of a product)"),
    ],
)
def test_what_is_repeated_in_a_message(told, line):
    error = RuntimeError()
    error.error_message, error.src, error.node = told, None, None
    assert failure.in_one_line(error) == line
