"""Products over all steps at once, on kernels of our own and recycled memory."""

import ctypes
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

import rnnkit
from rnnkit_compiler.backends.cpp.boundary import address_of, is_plain
from rnnkit_compiler.backends.cpp.building.compilation import CompileError
from rnnkit_compiler.backends.cpp.library import library_of
from rnnkit_compiler.backends.cpp.thread_pool import ThreadPool, thread_pool_of, threads
from rnnkit_compiler.backends.cpp.whole_products import matrix_at, multiply_into
from rnnkit_compiler.backends.cpp.workspace import shared

LEAST = 1 << 21
"""Multiplications below which torch's own product is as fast."""


class _Products(ctypes.Structure):
    """Mirrors `Products` in headers/multiply.h."""

    _fields_ = (
        ("products", ctypes.c_void_p),
        ("count", ctypes.c_int64),
        ("workspace", ctypes.c_void_p),
        ("team", ThreadPool),
    )


def multiply(a: Tensor, b: Tensor, bias: Tensor | None = None, row_sums: Tensor | None = None) -> Tensor:
    """Return A (M, K) times B (K, N), both of any strides, plus a bias (N,) in each row.

    Args:
        a: (M, K).
        b: (K, N).
        bias: contiguous.
        row_sums: (M,), gets the sum of each row of A.
    """
    (rows, depth), columns = a.shape, b.shape[1]
    if rows * columns * depth < LEAST or rnnkit.watched_by() or not (is_plain(a) and is_plain(b)):
        if row_sums is not None:
            torch.sum(a, 1, out=row_sums)
        return torch.mm(a, b) if bias is None else torch.addmm(bias, a, b)
    library, values, *_ = library_of(a.dtype)
    result = shared.take((rows, columns), a.dtype)
    count = threads()
    room = shared.take((values * count + 16,), a.dtype)
    pointers = (None if tensor is None else address_of(tensor) for tensor in (bias, row_sums))
    each = multiply_into(result, matrix_at(a), matrix_at(b), *pointers)
    call = _Products(
        products=ctypes.addressof(each),
        count=1,
        workspace=(room.data_ptr() + 63) // 64 * 64,
        team=thread_pool_of(count),
    )
    library.multiply(ctypes.byref(call))
    return result


class Linear(torch.autograd.Function):
    """x Wᵀ + b, as torch.nn.functional.linear."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Multiply rows x (..., K) by a weight (N, K)."""
        ctx.save_for_backward(x, weight)
        ctx.snapshot = rnnkit.Snapshot([x, weight])
        rows = x.reshape(-1, x.shape[-1])
        return multiply(rows, weight.t(), None if bias is None else bias.contiguous()).view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, weight and bias."""
        x, weight = ctx.snapshot.of(ctx.saved_tensors)
        needs = ctx.needs_input_grad
        rows, grads = x.reshape(-1, x.shape[-1]), grad.reshape(-1, grad.shape[-1])
        if (
            torch.is_grad_enabled() or rnnkit.watched_by() or not is_plain(grad)
        ):  # to be differentiated again, or looked at
            return (
                grad @ weight if needs[0] else None,
                grads.t() @ rows if needs[1] else None,
                grads.sum(0) if needs[2] else None,
            )
        sums = torch.empty(grads.shape[1], dtype=grad.dtype, device="cpu") if needs[2] else None
        of_weight = None
        if needs[1]:
            of_weight = multiply(grads.t(), rows, row_sums=sums)
        elif sums is not None:
            torch.sum(grads, 0, out=sums)
        of_x = multiply(grads, weight).view(x.shape) if needs[0] else None
        return of_x, of_weight, sums


class FastProducts(TorchFunctionMode):
    """Has `linear` and `matmul` with a matrix done by `Linear` where that is faster."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is F.linear and not kwargs and _fits(args[0], args[1], 1):
            return Linear.apply(args[0], args[1], args[2] if len(args) > 2 else None)  # type: ignore[no-untyped-call]
        if func in MATMULS and not kwargs and _fits(args[0], args[1], 0):
            return Linear.apply(args[0], args[1].t(), None)  # type: ignore[no-untyped-call]
        return func(*args, **(kwargs or {}))


MATMULS = (torch.matmul, torch.mm, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.Tensor.mm)


def _fits(x: Any, weight: Any, depth_axis: int) -> bool:
    """Whether x (..., K) and a matrix are such that kernels of our own do their product, and do it faster."""
    return (
        isinstance(x, Tensor)
        and isinstance(weight, Tensor)
        and weight.ndim == 2
        and x.ndim >= 2
        and x.dtype == weight.dtype
        and x.dtype in (torch.float32, torch.float64)
        and x.shape[-1] == weight.shape[depth_axis]
        and x.numel() * weight.shape[1 - depth_axis] >= LEAST
        and is_plain(x)
        and is_plain(weight)
        and _has_kernel(x.dtype)
    )


@cache
def _has_kernel(dtype: torch.dtype) -> bool:
    try:
        library_of(dtype)
    except CompileError:
        return False
    return True
