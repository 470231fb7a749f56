"""What is compiled once for all kernels of a dtype: products, whole ones and parts that kernels call, and contractions.

Products of few rows, with weights where they lie, are compiled beside what runs without gradients, or when a call first
has so few; contractions beside the first kernel that has one.
"""

import ctypes
from functools import cache
from typing import NamedTuple

import torch

from rnnkit_compiler.backends.cpp.building.build import build
from rnnkit_compiler.backends.cpp.building.compilation import CompileError

SETTING = """// {what}, compiled once for all kernels.
#define REAL {real}{narrow}
"""

PRODUCTS = """#include "multiply.h"

extern "C" int paired() { return PAIRED; }

extern "C" std::int64_t workspace() { return LINEAR_WORKSPACE; }
extern "C" std::int64_t few_rows() { return FEW_ROWS; }
extern "C" void multiply(Products* all) { run(all->team, multiply_shares, all); }
extern "C" void functions(Functions* f) { fill(f); }
"""

FEW = """#include "few.h"

extern "C" void few(Functions* f) { fill_with_few(f); }
"""

CONTRACTIONS = """#include "contraction.h"

extern "C" void contractions(Functions* f) { f->contract = contract_share; }
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
    library = build(_source("Products", PRODUCTS, dtype, narrow))
    library.workspace.restype = library.few_rows.restype = ctypes.c_int64
    library.multiply.restype = library.functions.restype = None
    functions = Functions()
    library.functions(ctypes.byref(functions))
    return Library(library, library.workspace(), functions, library.few_rows(), library.paired() == 2)


@cache
def functions_with_contractions(dtype: torch.dtype, narrow: bool = False) -> Functions:
    """Return the functions of a dtype for kernels that have contractions; see `library_of`."""
    library = build(_source("Contractions", CONTRACTIONS, dtype, narrow))
    library.contractions.restype = None
    functions = Functions.from_buffer_copy(library_of(dtype, narrow).functions)
    library.contractions(ctypes.byref(functions))
    return functions


@cache
def few_of(dtype: torch.dtype, narrow: bool = False) -> ctypes.CDLL:
    """Return the products of few rows of a dtype; see `library_of`."""
    library = build(_source("Products of few rows", FEW, dtype, narrow))
    library.few.restype = None
    return library


def has_few(functions: Functions, dtype: torch.dtype, narrow: bool) -> bool:
    """Add products of few rows to functions of a dtype, where they are not there; tell whether they are."""
    try:
        if not functions.panel_where_it_lies:
            made = Functions.from_buffer_copy(functions)
            few_of(dtype, narrow).few(ctypes.byref(made))
            functions.multiply_where_it_lies = made.multiply_where_it_lies
            functions.panel_where_it_lies = made.panel_where_it_lies  # last: other threads ask for it, and use both
    except CompileError:  # all rows are packed then
        return False
    return True


def _source(what: str, text: str, dtype: torch.dtype, narrow: bool) -> str:
    real, rounded = ("double", "") if dtype == torch.float64 else ("float", "\n#define BFLOAT16" if narrow else "")
    return SETTING.format(what=what, real=real, narrow=rounded) + text
