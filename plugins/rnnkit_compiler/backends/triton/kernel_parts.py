"""Parts of kernels: the rows that run, products of matrices, folds of a row, and meetings of programs."""

import triton
import triton.language as tl

from rnnkit_compiler.backends.triton.availability import is_interpreted

INTERPRETED = tl.constexpr(is_interpreted())


@triton.jit
def largest(x, within):
    """Return the largest of each row, NaN where there is one."""
    top = tl.max(tl.where(within, x, -float("inf")).to(x.dtype), 1, keep_dims=True)
    lost = tl.max(tl.where(within & (x != x), 1, 0), 1, keep_dims=True) > 0
    return tl.where(lost, float("nan"), top).to(x.dtype)


@triton.jit
def smallest(x, within):
    """Return the smallest of each row, NaN where there is one."""
    return -largest(-x, within)


@triton.jit
def total(x, within):
    """Return the sum of each row."""
    return tl.sum(tl.where(within, x, 0.0).to(x.dtype), 1, keep_dims=True)


@triton.jit
def run_of(lengths, rows, t, batch):
    """Tell which rows of the batch run at step t."""
    inside = rows < batch
    if lengths is not None:
        return inside & (tl.load(lengths + rows, mask=inside, other=0) > t)
    return inside


@triton.jit
def multiplied(a, b, added, PRECISION: tl.constexpr):
    """Return a @ b + added; of two precisions, as constants in float32 beside others, factors have the lower one."""
    low: tl.constexpr = a.dtype if a.dtype.primitive_bitwidth < b.dtype.primitive_bitwidth else b.dtype
    if INTERPRETED:  # in which products take the bits of bfloat16 for integers
        return tl.dot(a.to(low).to(added.dtype), b.to(low).to(added.dtype), added)
    return tl.dot(a.to(low), b.to(low), added, input_precision=PRECISION)


@triton.jit
def columns(matrix, d, j, depth, width, row_stride, column_stride, offset):
    """Read elements d (K, 1) of columns offset + j (1, N) of a matrix, zeros beyond `depth` and `width`."""
    at = d.to(tl.int64) * row_stride + (j + offset).to(tl.int64) * column_stride
    return tl.load(matrix + at, mask=(d < depth) & (j < width), other=0.0)


@triton.jit
def stack(
    matrix,
    j,
    depth,
    width,
    row_stride,
    column_stride,
    first,
    apart,
    BLOCKS: tl.constexpr,
    LAYERS: tl.constexpr,
    PIECES: tl.constexpr,
    DEPTH: tl.constexpr,
):
    """Read columns j (1, N) of blocks of a matrix as (LAYERS, DEPTH, N): a layer is a piece of the depth of a block."""
    layer = tl.arange(0, LAYERS)[:, None, None]
    block, unit = layer // PIECES, j[None, :, :]
    d = layer % PIECES * DEPTH + tl.arange(0, DEPTH)[None, :, None]
    at = d.to(tl.int64) * row_stride + (first + block * apart + unit).to(tl.int64) * column_stride
    return tl.load(matrix + at, mask=(d < depth) & (unit < width) & (block < BLOCKS), other=0.0)


@triton.jit
def rows_of_stack(rows, run, depth, LAYERS: tl.constexpr, PIECES: tl.constexpr, DEPTH: tl.constexpr):
    """Read the elements of rows (M, 1) that each layer of a stack is multiplied by: (LAYERS, M, DEPTH)."""
    d = tl.arange(0, PIECES)[:, None, None] * DEPTH + tl.arange(0, DEPTH)[None, None, :]
    a = tl.load(rows[None, :, :] + d, mask=run[None, :, :] & (d < depth), other=0.0)
    return tl.broadcast_to(a[None, :, :, :], (LAYERS // PIECES, PIECES, rows.shape[0], DEPTH)).reshape(
        LAYERS, rows.shape[0], DEPTH
    )


@triton.jit
def multiplied_stacks(a, b, REAL: tl.constexpr, PRECISION: tl.constexpr):
    """Return the product of each layer; of two precisions the factors have the lower one."""
    low: tl.constexpr = a.dtype if a.dtype.primitive_bitwidth < b.dtype.primitive_bitwidth else b.dtype
    if INTERPRETED:
        return tl.dot(a.to(low).to(REAL), b.to(low).to(REAL))
    return tl.dot(a.to(low), b.to(low), input_precision=PRECISION, out_dtype=REAL)


@triton.jit
def block_of_stack(layers, block, LAYERS: tl.constexpr, PIECES: tl.constexpr):
    """Return the product of one block: the sum of those of its pieces."""
    own = tl.arange(0, LAYERS)[:, None, None] // PIECES == block
    return tl.sum(tl.where(own, layers, 0.0), 0)


@triton.jit
def meet(meeting, GRID: tl.constexpr):
    """Wait until all of a program, and of those that share its rows if there are any, have come here."""
    tl.debug_barrier()
    if GRID:
        own = meeting + tl.program_id(0)
        together = tl.num_programs(1)
        before = tl.atomic_add(own, 1, sem="acq_rel")
        everyone = (before // together + 1) * together
        while tl.atomic_add(own, 0, sem="acquire") < everyone:
            pass
        tl.debug_barrier()
