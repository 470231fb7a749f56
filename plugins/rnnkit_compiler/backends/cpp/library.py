"""What is compiled once for all kernels of a dtype: whole products, and the parts of products that kernels call."""

import ctypes
from functools import cache
from typing import NamedTuple

import torch

from rnnkit_compiler.backends.cpp.building.build import build

SOURCE = """// Products, compiled once for all kernels.
#define REAL {real}{narrow}
#include "multiply.h"

extern "C" int paired() {{ return PAIRED; }}

extern "C" std::int64_t workspace() {{ return LINEAR_WORKSPACE; }}
extern "C" std::int64_t few_rows() {{ return FEW_ROWS; }}
extern "C" void multiply(Products* all) {{ run(all->team, multiply_shares, all); }}
extern "C" void functions(Functions* f) {{ fill(f); }}
"""


class Functions(ctypes.Structure):
    """Mirrors `Functions` in headers/functions.h."""

    _fields_ = (
        ("products", ctypes.c_void_p * 4),
        ("pack", ctypes.c_void_p),
        ("multiply", ctypes.c_void_p),
        ("contract", ctypes.c_void_p),
        ("panel_where_it_lies", ctypes.c_void_p),
        ("multiply_where_it_lies", ctypes.c_void_p),
    )


class Library(NamedTuple):
    """The functions of one dtype."""

    library: ctypes.CDLL
    workspace: int
    """Values that whole products want for each thread."""

    functions: Functions
    few_rows: int
    """Rows of all steps together up to which weights are not packed."""

    rounds: bool
    """Whether factors are rounded to bfloat16."""


@cache
def library_of(dtype: torch.dtype, narrow: bool = False) -> Library:
    """Return the library of a dtype, float32 or float64.

    Args:
        dtype: of what is read and written, and of the sums.
        narrow: round factors to bfloat16, where the processor multiplies them, if the dtype is float32.

    Raises:
        CompileError: there is no compiler, or it fails.
    """
    real, rounded = ("double", "") if dtype == torch.float64 else ("float", "\n#define BFLOAT16" if narrow else "")
    library = build(SOURCE.format(real=real, narrow=rounded))
    library.workspace.restype = library.few_rows.restype = ctypes.c_int64
    library.multiply.restype = library.functions.restype = None
    functions = Functions()
    library.functions(ctypes.byref(functions))
    return Library(library, library.workspace(), functions, library.few_rows(), library.paired() == 2)
