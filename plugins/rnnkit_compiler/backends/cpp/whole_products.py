"""Products of whole matrices, described for the C interface."""

import ctypes
from collections.abc import Sequence

from torch import Tensor

from rnnkit_compiler.backends.base.runtime import Matrix, Product
from rnnkit_compiler.backends.cpp.boundary import address_of


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
        ("bias2", ctypes.c_void_p),
        ("row_sums", ctypes.c_void_p),
        ("over_steps", ctypes.c_int64),
        ("adds", ctypes.c_int64),
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
    product = describe(result.data_ptr(), a, b)
    if bias is not None:
        product.bias = bias
    if row_sums is not None:
        product.row_sums = row_sums
    return product


def describe(result: int, a: Matrix, b: Matrix) -> Multiply:
    """Describe the product of A (M, K) and B (K, N) at an address, contiguous."""
    product = Multiply()
    product.M, product.N, product.K = a.rows, b.columns, a.columns
    product.c, product.ldc = result, b.columns
    product.a, product.a_rs, product.a_cs = a.location, a.row_stride, a.column_stride
    product.b, product.b_rs, product.b_cs = b.location, b.row_stride, b.column_stride
    return product


def side_by_side(products: Sequence[Product]) -> list[Product]:
    """Return products, of which none reads what another writes, with those of the same left matrix as neighbours.

    They are done together: a gradient that several weights have in common is made contiguous once.
    """
    by_left: dict[Matrix, list[Product]] = {}
    for product in products:
        by_left.setdefault(product.a, []).append(product)
    return [product for same in by_left.values() for product in same]
