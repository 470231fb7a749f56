"""Functions of Triton tensors are torch's, at usual numbers, at poles and at ends, in float64 and float32."""

import math

import pytest
import torch

from rnnkit_compiler.backends.triton.code.operations import CODE, expression
from rnnkit_compiler.backends.triton.library import HEAD
from rnnkit_compiler.backends.triton.loading import load, quiet
from rnnkit_compiler.ir.operations import OPERATIONS

INF, NAN = math.inf, math.nan
ENDS = [0.0, -0.0, 1.0, -1.0, INF, -INF, NAN]
REAL = [*torch.linspace(-7.9, 7.9, 40).tolist(), 1e-9, -1e-9, 30.0, -30.0, *ENDS]
UNIT = [*torch.linspace(0.001, 0.999, 40).tolist(), 1e-12, 1 - 1e-9, -0.5, 2.0, *ENDS]
BOTH = [*torch.linspace(-0.999, 0.999, 40).tolist(), 1e-12, 2.0, *ENDS]

SPECIAL = {
    "lgamma": (torch.lgamma, [*REAL, 1e-300, 1e9, 2.0, 3.0, -4.0]),
    "digamma": (torch.digamma, [*REAL[:-3], NAN, 1e9, 2.0, -4.0]),
    "erfinv": (torch.erfinv, BOTH),
    "erfcx": (torch.special.erfcx, [*REAL, 1e9, -26.0, -28.0]),
    "ndtri": (torch.special.ndtri, UNIT),
    "log_ndtr": (torch.special.log_ndtr, [*REAL, -1e3]),
    "i0": (torch.special.i0, REAL[:-3]),
    "i0e": (torch.special.i0e, [*REAL, 300.0]),
    "i1": (torch.special.i1, REAL[:-3]),
    "i1e": (torch.special.i1e, [*REAL, 300.0]),
}
GAMMA = [0.0, 0.3, 1.0, 4.0, 30.0, INF, -1.0], [0.0, 0.1, 1.0, 3.5, 50.0, INF, -1.0]


def polygamma(orders, numbers):
    return torch.stack([torch.polygamma(int(n), x) for n, x in zip(orders, numbers, strict=True)])


PAIRS = {
    "polygamma": (polygamma, [0.0, 1.0, 2.0, 5.0], [0.3, 1.0, 2.5, 30.0]),
    "zeta": (torch.special.zeta, [1.0, 1.5, 2.0, 7.0, 0.5], [0.3, 1.0, 2.5, 30.0, -1.5, -2.0, 0.0, NAN]),
    "igamma": (torch.special.gammainc, *GAMMA),
    "igammac": (torch.special.gammaincc, *GAMMA),
    "nextafter": (torch.nextafter, [0.0, 1.0, -1.0, 1e-40, INF, NAN], [0.0, -0.0, 2.0, -2.0, INF, NAN]),
}


def computed(name, *operands):
    """Return what the code of an operation gives of tensors of one dtype."""
    real = "tl.float64" if operands[0].dtype == torch.float64 else "tl.float32"
    value = expression(name, [f"tl.load(p{k} + j)" for k in range(len(operands))])
    given = ", ".join(f"p{k}" for k in range(len(operands)))
    text = f"""{HEAD}REAL = tl.constexpr({real})


@triton.jit
def kernel({given}, out, N: tl.constexpr):
    j = tl.arange(0, N)[None, :]
    tl.store(out + j, {value})
"""
    size = 1 << (operands[0].numel() - 1).bit_length()
    padded = [torch.cat([tensor, torch.ones(size - tensor.numel(), dtype=tensor.dtype)]) for tensor in operands]
    out = torch.empty_like(padded[0])
    with quiet():
        load(text).kernel[(1,)](*padded, out, size)
    return out[: operands[0].numel()]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", SPECIAL)
def test_functions_of_one_number(name, dtype):
    function, numbers = SPECIAL[name]
    x = torch.tensor(numbers, dtype=dtype)
    expected = function(x.double()).to(dtype)
    bound = 1e-12 if dtype == torch.float64 else 1e-6
    torch.testing.assert_close(computed(name, x), expected, rtol=bound, atol=bound, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", PAIRS)
def test_functions_of_two_numbers(name, dtype):
    function, first, second = PAIRS[name]
    a, b = torch.cartesian_prod(torch.tensor(first, dtype=dtype), torch.tensor(second, dtype=dtype)).unbind(1)
    bound = 1e-9 if dtype == torch.float64 else 1e-5
    expected = function(a, b) if name == "nextafter" else function(a.double(), b.double()).to(dtype)
    bound = 0 if name == "nextafter" else bound
    torch.testing.assert_close(computed(name, a, b), expected, rtol=bound, atol=bound, equal_nan=True)


def test_every_operation_has_code():
    assert {*OPERATIONS} == {*CODE}
