"""Products of whole matrices, described for the C interface."""

import ctypes
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from rnnkit_compiler.backends.cpp.boundary import address_of


class Matrix(NamedTuple):
    """A matrix in memory, of any strides in elements."""

    address: int
    rows: int
    columns: int
    row_stride: int
    column_stride: int

    @property
    def turned(self) -> "Matrix":
        """The transpose."""
        return Matrix(self.address, self.columns, self.rows, self.column_stride, self.row_stride)


def matrix_at(tensor: Tensor) -> Matrix:
    """Describe a tensor of two dimensions; raises Unfit if it is none that a kernel may touch."""
    return Matrix(address_of(tensor), *tensor.shape, *tensor.stride())


class Multiply(ctypes.Structure):
    """Mirrors `Multiply` in headers/functions.h."""

    _fields_ = (
        ("M", ctypes.c_int64),
        ("N", ctypes.c_int64),
        ("K", ctypes.c_int64),
        ("c", ctypes.c_void_p),
        ("ldc", ctypes.c_int64),
        ("a", ctypes.c_void_p),
        ("a_rs", ctypes.c_int64),
        ("a_cs", ctypes.c_int64),
        ("b", ctypes.c_void_p),
        ("b_rs", ctypes.c_int64),
        ("b_cs", ctypes.c_int64),
        ("bias", ctypes.c_void_p),
        ("row_sums", ctypes.c_void_p),
    )


def multiply_into(
    result: Tensor, a: Matrix, b: Matrix, bias: int | None = None, row_sums: int | None = None
) -> Multiply:
    """Describe the product of A (M, K) and B (K, N).

    Args:
        result: contiguous, M * N elements.
        a: the left matrix.
        b: the right one.
        bias: address of N numbers that are added to each row.
        row_sums: address of room for M numbers: the sum of each row of A.
    """
    return Multiply(
        *(a.rows, b.columns, a.columns, result.data_ptr(), b.columns),
        *(a.address, a.row_stride, a.column_stride, b.address, b.row_stride, b.column_stride),
        *(bias, row_sums),
    )


def array_of(products: Sequence[Multiply]) -> "ctypes.Array[Multiply]":
    """Put descriptions in a row."""
    return (Multiply * len(products))(*products)
