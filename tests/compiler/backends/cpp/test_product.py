"""The matrix products of generated kernels, against numpy in float64: every instruction set, both dtypes, odd sizes."""

import ctypes
import platform
import shutil
import subprocess
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

import rnnkit_compiler

from ....slow_cases import slow_but

HEADERS = Path(rnnkit_compiler.__file__).parent / "backends" / "cpp" / "headers"
PROBE = Path(__file__).with_name("product_probe.cpp")
COMPILER = shutil.which("g++") or shutil.which("clang++") or shutil.which("c++")
FLAGS = ["-O2", "-std=c++17", "-fno-math-errno", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-Wno-psabi"]
TARGETS = {"native": ["-march=native"], "avx2": ["-mavx2", "-mfma"], "baseline": []}
DTYPES = {"float": np.float32, "double": np.float64, "bfloat16": np.float32}
"""By what is multiplied, what it is added up in."""

pytestmark = pytest.mark.skipif(COMPILER is None, reason="there is no C++ compiler")


class Build:
    """One build of the probe: its library, and the numpy dtype that it computes in."""

    def __init__(self, library, dtype):
        self.library, self.dtype = ctypes.CDLL(str(library)), DTYPES[dtype]
        self.rounds = dtype == "bfloat16" and self.library.paired() == 2

    def draw(self, rows, columns, order="C"):
        """Draw a matrix with both signs, its values row after row or column after column."""
        values = np.random.default_rng(1000 * rows + columns).standard_normal((rows, columns))
        return np.asarray(values, self.dtype, order=order)

    def factor(self, values):
        """Return what is multiplied in place of these values."""
        return torch.tensor(np.array(values)).bfloat16().float().numpy() if self.rounds else values

    def check(self, found, a, b, before=0.0):
        """Compare with `before` + a b, as far as the roundings of the sum allow."""
        check(found, self.factor(a), self.factor(b), before)

    def multiply(self, a, w, gates, *, vectors=None, rows=None, before=None, known=False):
        """Return a[rows] w, or `before` + a[rows] w, by way of packed panels of `vectors` vectors a gate."""
        units, count = w.shape[1] // gates, len(a) if rows is None else len(rows)
        c = np.full((count, w.shape[1]), np.nan, self.dtype) if before is None else before.copy()
        index = None if rows is None else np.asarray(rows, np.int32)
        vectors = vectors or self.library.vectors(gates, units, 1, 1)
        sizes = len(w), gates, units, vectors
        self.library.multiply(
            address(c), address(a), strides(a)[0], address(index), count, address(w), *strides(w), *sizes,
            before is not None, known,
        )  # fmt: skip
        return c

    def multiply_where_it_lies(self, a, b, *, bias=None, bias2=None, threads=1):
        """Return a b + bias + bias2, in the rows of a wider matrix, without packing b."""
        rows, columns = len(a), b.shape[1]
        wide = np.full((rows, columns + 3), 7, self.dtype)
        self.library.multiply_where_it_lies(
            address(wide), strides(wide)[0], rows, columns, a.shape[1], address(a), strides(a)[0], address(b),
            *strides(b), address(bias), address(bias2), threads,
        )  # fmt: skip
        assert (wide[:, columns:] == 7).all()
        return wide[:, :columns]

    def multiply_few(self, a, b, *, sums, threads):
        """Return a b, in the rows of a wider matrix, by sums over the rows of b; `sums` gets the row sums of a."""
        rows, columns = len(a), b.shape[1]
        wide = np.full((rows, columns + 3), 7, self.dtype)
        self.library.multiply_few(
            address(wide), strides(wide)[0], rows, columns, len(b), address(a), *strides(a), address(b),
            strides(b)[0], address(sums), threads,
        )  # fmt: skip
        assert (wide[:, columns:] == 7).all()
        return wide[:, :columns]

    def multiply_panels_where_they_lie(self, a, w, gates, vectors):
        """Return a w by way of panels that are not packed."""
        c = np.full((len(a), w.shape[1]), np.nan, self.dtype)
        sizes = len(w), gates, w.shape[1] // gates, vectors
        self.library.multiply_panels_where_they_lie(
            address(c), address(a), strides(a)[0], len(a), address(w), *strides(w), *sizes
        )
        return c

    def multiply_whole(self, a, b, *, bias=None, bias2=None, sums=None, before=None, threads=1):
        """Return a b + bias, or a b + `before`, in the rows of a wider matrix; `sums` gets row sums of a."""
        rows, columns = len(a), b.shape[1]
        wide = np.full((rows, columns + 3), 7, self.dtype)
        c = wide[:, :columns]
        c[...] = np.nan if before is None else before
        sizes = rows, columns, a.shape[1]
        self.library.multiply_whole(
            address(c), strides(c)[0], *sizes, address(a), *strides(a), address(b), *strides(b),
            address(bias), address(bias2), address(sums), before is not None, threads,
        )  # fmt: skip
        assert (wide[:, columns:] == 7).all()
        return c

    def multiply_together(self, a, b, bias, widths, sums, threads):
        """Return a b + bias, by a product for each stretch of so many columns, of which every other has a bias.

        `sums` gets the row sums of a.
        """
        c, index = np.full((len(a), b.shape[1]), np.nan, self.dtype), np.asarray(widths, np.int32)
        self.library.multiply_together(
            address(c), strides(c)[0], len(a), a.shape[1], address(a), *strides(a), address(b), *strides(b),
            address(bias), address(index), len(widths), address(sums), threads,
        )  # fmt: skip
        return c


def strides(matrix):
    """Return a matrix's strides in values rather than bytes."""
    return [ctypes.c_long(stride // matrix.itemsize) for stride in matrix.strides]


def address(array):
    """Return the address of an array's first value, or none."""
    return None if array is None else ctypes.c_void_p(array.ctypes.data)


def check(found, a, b, before=0.0):
    """Compare with `before` + a b, as far as the roundings of the sum allow."""
    a, b, before = (np.asarray(x, np.float64) for x in (a, b, before))
    bound = (a.shape[1] + 3) * np.finfo(found.dtype).eps * (np.abs(a) @ np.abs(b) + np.abs(before))
    error = np.abs(found - (before + a @ b))
    worst = error.argmax()
    assert (error <= bound).all(), f"value {worst} is {error.flat[worst]:.3g} off; {bound.flat[worst]:.3g} is allowed"


def runs_here(target):
    """Say whether this machine can run a target's build."""
    flags = Path("/proc/cpuinfo")
    return target != "avx2" or (platform.machine() == "x86_64" and flags.exists() and " avx2 " in flags.read_text())


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return what compiles the probe for a target and dtype, once."""
    folder = tmp_path_factory.mktemp("product")

    @cache
    def compiled(target, dtype):
        library = folder / f"{target}-{dtype}.so"
        kind = ["-DREAL=float", "-DBFLOAT16"] if dtype == "bfloat16" else [f"-DREAL={dtype}"]
        command = [COMPILER, *FLAGS, *TARGETS[target], *kind, f"-I{HEADERS}", str(PROBE), "-o", library]
        compiler = subprocess.run(command, capture_output=True, text=True)
        assert compiler.returncode == 0, compiler.stderr
        return Build(library, dtype)

    return compiled


@pytest.fixture(
    params=[
        pytest.param(case, id="-".join(case), marks=() if case[0] == "native" else pytest.mark.slow)
        for case in product(TARGETS, DTYPES)
    ]
)
def build(request, built):
    """One build of the probe."""
    if not runs_here(request.param[0]):
        pytest.skip("this machine cannot run it")
    return built(*request.param)


@pytest.mark.covering(1)
@pytest.mark.parametrize("depth", slow_but([7, 1100], [1, 7, 65, 1100]))
@pytest.mark.parametrize("rows", [*range(1, 14), 64, 130])
def test_product_of_every_number_of_rows(build, rows, depth):
    a = build.draw(rows, depth)
    for gates, units in [(4, 20), (3, 16), (2, 7), (1, 70)]:
        w = build.draw(depth, gates * units)
        build.check(build.multiply(a, w, gates), a, w)


@pytest.mark.parametrize("units", [1, 16, 37, 64])
@pytest.mark.parametrize("gates", [1, 2, 3, 4, 5, 6, 7, 9])
def test_product_of_every_number_of_gates(build, gates, units):
    a, w = build.draw(5, 33), build.draw(33, gates * units)
    for vectors in range(1, max(1, 4 // gates) + 1):
        build.check(build.multiply(a, w, gates, vectors=vectors), a, w)
        build.check(build.multiply(a, w, gates, vectors=vectors, known=True), a, w)


@pytest.mark.parametrize("depth", [5, 65, 130])
def test_packing_takes_any_strides(build, depth):
    a, wide = build.draw(3, depth), build.draw(2 * depth, 240)
    tall = build.draw(160, 3 * depth).T
    for w in [build.draw(depth, 80, order="F"), wide[:depth, :80], wide[::2, ::3], tall[::3, ::2], tall[:depth, :80]]:
        build.check(build.multiply(a, w, 4), a, w)


@pytest.mark.parametrize("rows", [1, 8, 40])
def test_product_adds_to_what_is_there(build, rows):
    a, w, before = build.draw(rows, 700), build.draw(700, 72), build.draw(rows, 72)
    build.check(build.multiply(a, w, 4, before=before), a, w, before)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("widths", [[64, 64], [5, 130, 1, 300], [17], [16, 700]])
def test_products_of_one_matrix_with_several(build, widths, threads):
    a, b = build.draw(110, 530, order="F"), build.draw(530, sum(widths))
    sums = np.full(110, np.nan, build.dtype)
    bias = build.draw(1, sum(widths))
    of_each = [np.full(width, k % 2 == 0) for k, width in enumerate(widths)]
    before = np.broadcast_to(np.where(np.concatenate(of_each), bias, 0), (110, sum(widths)))
    build.check(build.multiply_together(a, b, bias, widths, sums, threads), a, b, before)
    assert np.allclose(sums, a.sum(1), atol=1e-3)


def test_product_over_nothing_is_zero(build):
    a, w = build.draw(9, 1)[:, :0], build.draw(1, 40)[:0]
    assert (build.multiply(a, w, 2) == 0).all()
    assert (build.multiply_whole(a, w) == 0).all()


def test_product_takes_rows_by_a_list(build):
    a, w = build.draw(12, 50)[:, :31], build.draw(31, 63)
    rows = [7, 0, 11, 11, 3, 5, 2, 9, 1, 10]
    build.check(build.multiply(a, w, 3, rows=rows), a[rows], w)


def test_a_panel_is_as_wide_as_keeps_every_thread_busy(build):
    vectors, lanes = build.library.vectors, build.library.lanes()
    assert vectors(1, 64 * lanes, 1, 20) == 4
    assert vectors(1, 4 * lanes, 2, 4) == 2  # one panel of 4 would leave a thread idle
    assert vectors(1, 4 * lanes, 2, 20) == 4  # two share its rows
    assert vectors(1, 1, 1, 1) == 1
    assert vectors(1, 7 * lanes, 1, 20) == 4  # 4 and 3: the last panel has no more than are left
    assert [vectors(gates, 64 * lanes, 2, 20) for gates in (2, 3, 4, 5, 6, 8)] == [2, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 7, 16])
@pytest.mark.parametrize(("start", "rows"), [(0, 1), (0, 7), (3, 20), (0, 64)])
def test_panels_are_dealt_out_once_and_evenly(build, threads, start, rows):
    deal = build.library.deal
    deal.argtypes = [ctypes.c_int] * 4 + [ctypes.c_void_p] * 2
    for panels in range(1, 40):
        often = torch.zeros(panels, start + rows, dtype=torch.int32)
        had = torch.zeros(threads, dtype=torch.int32)
        deal(panels, threads, start, start + rows, often.data_ptr(), had.data_ptr())
        assert (often[:, start:] == 1).all()
        assert not often[:, :start].any()
        most = panels // threads * rows + -(-rows // max(1, threads // max(1, panels % threads)))
        shared = panels % threads and rows >= 4 * (threads // (panels % threads) + 1)
        assert had.max() <= (most if shared else -(-panels // threads) * rows)


@pytest.mark.parametrize("threads", slow_but([1, 3], [1, 2, 3, 4]))
@pytest.mark.parametrize(
    ("rows", "columns", "depth"),
    [(1, 1, 1), (7, 20, 65), (130, 33, 7), (13, 1100, 70), (200, 64, 300), (5, 600, 530), (300, 3, 40), (2, 16, 2000)],
)
def test_whole_product_of_every_layout(build, rows, columns, depth, threads):
    for a, b in product("CF", "CF"):
        left, right = build.draw(rows, depth, order=a), build.draw(depth, columns, order=b)
        build.check(build.multiply_whole(left, right, threads=threads), left, right)
    left, right = build.draw(2 * rows, 3 * depth)[::2, ::3], build.draw(3 * depth, 2 * columns)[::3, ::2]
    build.check(build.multiply_whole(left, right, threads=threads), left, right)


@pytest.mark.parametrize("columns", [5, 37, 64, 600])
@pytest.mark.parametrize("depth", [70, 600])
def test_whole_product_with_a_bias(build, columns, depth):
    a, b, bias = (build.draw(*shape) for shape in [(70, depth), (depth, columns), (2, columns)])
    for threads in (1, 2):
        found = build.multiply_whole(a, b, bias=bias[0], threads=threads)
        build.check(found, a, b, np.broadcast_to(bias[0], found.shape))
        found = build.multiply_whole(a, b, bias=bias[0], bias2=bias[1], threads=threads)
        assert (found == build.multiply_whole(a, b, bias=bias.sum(0), threads=threads)).all()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("threads", [1, 2])
def test_whole_product_gives_the_row_sums_of_its_left_side(build, order, threads):
    a, b, ones = build.draw(70, 900, order=order), build.draw(900, 700), np.ones((900, 1))
    sums = np.full((70, 1), np.nan, build.dtype)
    build.check(build.multiply_whole(a, b, sums=sums, threads=threads), a, b)
    check(sums, a, ones)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("rows", [70, 130, 1024])  # columns of 1024 lie pages apart
def test_whole_product_is_added_to_what_an_earlier_one_gave(build, rows, order):
    a, b = build.draw(rows, 900, order=order), build.draw(900, 70)
    for threads in (1, 2):
        found, sums = None, np.full((rows, 1), np.nan, build.dtype)
        for part in (slice(0, 300), slice(300, 900)):  # of which the second is deeper than a block
            found = build.multiply_whole(a[:, part], b[part], sums=sums, before=found, threads=threads)
        build.check(found, a, b)
        check(sums, a, np.ones((900, 1)))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("columns", [1, 7, 16, 37, 64, 100, 300])
@pytest.mark.parametrize("depth", [1, 5, 16, 33, 130])
@pytest.mark.covering(2)
def test_product_of_few_rows_with_a_matrix_where_it_lies(build, depth, columns, order):
    wide, b, bias = build.draw(5, depth + 3), build.draw(depth, columns, order=order), build.draw(2, columns)
    for rows in (1, 2, 5):
        a = wide[:rows, :depth]
        check(build.multiply_where_it_lies(a, b, threads=rows), a, b)
        once = build.multiply_where_it_lies(a, b, bias=bias[:1].sum(0))
        check(once, a, b, np.broadcast_to(bias[0], once.shape))
        twice = build.multiply_where_it_lies(a, b, bias=bias[0].copy(), bias2=bias[1].copy())
        assert (twice == build.multiply_where_it_lies(a, b, bias=bias.sum(0))).all()


@pytest.mark.parametrize("columns", [1, 16, 37, 64, 100, 300])
@pytest.mark.parametrize("rows", [1, 5, 37])
def test_sum_over_few_rows(build, rows, columns):
    for depth in (1, 2, 8):
        wide = build.draw(depth, columns + 3)
        for a in (build.draw(rows, depth), build.draw(rows, depth, order="F")):
            sums = np.full(rows, np.nan, build.dtype)
            check(build.multiply_few(a, wide[:, :columns], sums=sums, threads=min(3, rows)), a, wide[:, :columns])
            check(sums[:, None], a, np.ones((depth, 1), build.dtype))
            assert (build.multiply_few(a, wide[:, :columns], sums=None, threads=1)[:, 0] != 7).all()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("units", [1, 16, 37, 64])
@pytest.mark.parametrize("gates", [1, 3, 4])
def test_panels_of_a_matrix_where_it_lies(build, gates, units, order):
    a, w = build.draw(3, 33), build.draw(33, gates * units, order=order)
    for vectors in range(1, 5):
        check(build.multiply_panels_where_they_lie(a, w, gates, vectors), a, w)


@pytest.fixture(scope="module")
def pool():
    """The entry points of the OpenMP pool that torch runs on."""
    library = next(Path(torch.__file__).parent.glob("lib/libtorch_cpu.*"))
    handle = ctypes.CDLL(str(library))
    try:
        names = [handle.GOMP_parallel, handle.omp_get_thread_num, handle.omp_get_num_threads]
    except AttributeError:
        pytest.skip("torch's pool has no GNU entry points")
    return [ctypes.cast(name, ctypes.c_void_p) for name in names]


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_a_team_meets_at_every_barrier(built, pool, threads):
    relay = built("native", "float").library.relay
    assert relay(*pool, threads, 300) == threads
    assert relay(*pool[:2], None, threads, 300) == threads  # the runtime gives as many as are asked for


def test_without_a_pool_the_caller_is_the_team(built):
    assert built("native", "float").library.relay(None, None, None, 4, 10) == 1


def test_factors_are_rounded_to_bfloat16_where_the_processor_multiplies_them(built):
    build = built("native", "bfloat16")
    if not build.rounds:
        pytest.skip("this processor multiplies no bfloat16")
    one, wide = np.ones((1, 1), np.float32), np.ones((1, 64), np.float32)
    ties = {1 + 2**-8: 1, 1 + 3 * 2**-8: 1 + 2**-6}  # go to the even one
    for value, rounded in {
        1 + 2**-8 + 2**-12: 1 + 2**-7,
        **ties,
        np.inf: np.inf,
        -np.inf: -np.inf,
        np.nan: np.nan,
    }.items():
        for found in (build.multiply(value * one, wide, 1), build.multiply(one, value * wide, 1)):
            assert np.array_equal(found, rounded * wide, equal_nan=True)
