"""The loops of contractions: axes in any order, vectors whole and in part, rows shared in any way, as in torch."""

import ctypes
from random import Random

import pytest
import torch

from rnnkit_compiler.backends.cpp.code.loops import description
from rnnkit_compiler.backends.cpp.library import functions_with_contractions
from rnnkit_compiler.ir.contraction import Term, einsum, equation_of, extreme
from rnnkit_compiler.ir.graph import Graph
from rnnkit_compiler.ir.kinds import CONTRACTIONS

from ..reference import contracted

BATCH, SPARE = 3, 2
"""Rows, and numbers behind each that are not the contraction's."""


class RowsOf(ctypes.Structure):
    """Mirrors `RowsOf` in headers/functions.h."""

    _fields_ = (("first", ctypes.c_void_p), ("stride", ctypes.c_ssize_t))


ARGUMENTS = (
    *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ssize_t, RowsOf, RowsOf),
    *(ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_int),
)


def rows_of(tensor):
    return RowsOf(None, 0) if tensor is None else RowsOf(tensor.data_ptr(), tensor.shape[1])


def run(node, operands, shares):
    """Have the kernels' function contract rows 2, 0 and 1, each share of it after the other."""
    dtype = operands[0].dtype
    contract = ctypes.CFUNCTYPE(None, *ARGUMENTS)(functions_with_contractions(dtype).contract)
    numbers = description(node)
    out = torch.full((BATCH, node.width + SPARE), float("nan"), dtype=dtype)
    rows = (ctypes.c_int * BATCH)(2, 0, 1)
    told = (ctypes.c_int64 * len(numbers))(*numbers)
    x, y = map(rows_of, [*operands, None][:2])
    for share in range(shares):
        contract(
            ctypes.addressof(told), out.data_ptr(), out.shape[1], x, y, ctypes.addressof(rows), BATCH, share, shares
        )
    assert out[:, node.width :].isnan().all()
    return out[:, : node.width]


def drawn(random):
    """Draw a contraction of leaves."""
    while True:
        graph = Graph()
        sizes = {axis: random.choice([2, 3, 4, 5, 16, 33]) for axis in range(random.randint(1, 4))}
        axes = [
            tuple(random.sample(sorted(sizes), random.randint(1, len(sizes)))) for _ in range(random.choice([1, 2]))
        ]
        result = tuple(random.sample(sorted(sizes), random.randint(1, len(sizes))))
        widths = [torch.Size([sizes[axis] for axis in own]).numel() for own in axes]
        leaves = [graph.make("state", (), width, k) for k, width in enumerate(widths)]
        terms = list(map(Term, leaves, axes))
        kept = tuple(axis for axis in result if axis in axes[0])
        fold = random.choice(["einsum", "amax", "amin"]) if len(terms) == 1 else "einsum"
        node = einsum(terms, result, sizes) if fold == "einsum" else extreme(fold, terms[0], kept, sizes)
        if node.op in CONTRACTIONS and all(operand.op == "state" for operand in node.inputs) and max(widths) < 20_000:
            return node


@pytest.mark.parametrize("seed", range(8))
def test_a_contraction_is_torchs(seed):
    random = Random(seed)
    torch.manual_seed(seed)
    for _ in range(40):
        node, dtype = drawn(random), random.choice([torch.float32, torch.float64])
        operands = [torch.randn(BATCH, operand.width).to(dtype) for operand in node.inputs]
        found = run(node, operands, random.choice([1, 2, 3, 7]))
        expected = contracted(node, [operand.double() for operand in operands])
        tolerance = 1e-12 if dtype == torch.float64 else 1e-5
        scale = float(expected.abs().max()) or 1.0
        assert float((found - expected).abs().max()) <= tolerance * scale * 10, equation_of(node)


def test_what_is_put_into_order_keeps_every_bit():
    graph = Graph()
    node = einsum([Term(graph.make("state", (), 6, 0), (0, 1))], (1, 0), {0: 2, 1: 3})
    numbers = torch.tensor([[0.0, -0.0, float("inf"), float("nan"), 1e-310, -1.0]] * BATCH).double()
    expected = numbers.view(BATCH, 2, 3).mT.reshape(BATCH, 6)
    assert run(node, [numbers], 1).view(torch.int64).tolist() == expected.contiguous().view(torch.int64).tolist()


@pytest.mark.parametrize("op", ["amax", "amin"])
def test_an_extreme_beside_nan_is_nan(op):
    graph = Graph()
    node = extreme(op, Term(graph.make("state", (), 40, 0), (0, 1)), (0,), {0: 2, 1: 20})
    numbers = torch.randn(BATCH, 40).double()
    numbers[1, 25] = float("nan")
    found = run(node, [numbers], 1)
    assert found.isnan().tolist() == [[False, False], [False, True], [False, False]]


def test_a_description_has_as_many_numbers_whatever_the_sizes_are():
    def length(sizes):
        graph = Graph()
        widths = [torch.Size([sizes[axis] for axis in axes]).numel() for axes in ((0, 1), (2, 1))]
        leaves = [graph.make("state", (), width, k) for k, width in enumerate(widths)]
        return len(description(einsum(list(map(Term, leaves, ((0, 1), (2, 1)))), (0, 2), sizes)))

    sizes = [dict(enumerate(some)) for some in ((2, 64, 3), (64, 2, 3), (3, 2, 64), (64, 64, 64))]
    assert len(set(map(length, sizes))) == 1
