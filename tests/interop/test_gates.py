"""Reordering of gates: a permutation of equal blocks, undone by the reverse order."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnkit.errors import ShapeError, UsageError
from rnnkit.interop.gates import ORDERS, OWN, join, reorder, split

quick = settings(derandomize=True, deadline=None, database=None)


@st.composite
def gated(draw):
    """Draw a tensor whose elements are all different, the dimension of its gates, and two orders of them."""
    source = "".join(draw(st.permutations("ifgoz"[: draw(st.integers(1, 5))])))
    target = "".join(draw(st.permutations(source)))
    shape = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    dim = draw(st.integers(-len(shape), len(shape) - 1))
    shape[dim] *= len(source)
    return torch.arange(torch.Size(shape).numel()).view(shape), source, target, dim


@quick
@given(gated())
def test_each_gate_keeps_its_block(drawn):
    tensor, source, target, dim = drawn
    found = reorder(tensor, source, target, dim)
    size = tensor.shape[dim] // len(source)
    for gate in source:
        before = tensor.narrow(dim, source.index(gate) * size, size)
        assert torch.equal(found.narrow(dim, target.index(gate) * size, size), before)


@quick
@given(gated())
def test_the_reverse_undoes_it(drawn):
    tensor, source, target, dim = drawn
    assert torch.equal(reorder(reorder(tensor, source, target, dim), target, source, dim), tensor)


@quick
@given(gated())
def test_join_undoes_split(drawn):
    tensor, source, _, dim = drawn
    assert torch.equal(join(split(tensor, source, dim), source, dim), tensor)


def test_known_orders():
    rows = torch.tensor([[0.0], [1.0], [2.0], [3.0]])  # i, f, g, o
    assert reorder(rows, "ifgo", "igfo").flatten().tolist() == [0, 2, 1, 3]
    assert reorder(rows, "ifgo", "iofg").flatten().tolist() == [0, 3, 1, 2]
    assert reorder(rows.t(), "ifgo", "ogfi", dim=1).tolist() == [[3, 2, 1, 0]]


def test_what_comes_out_shares_no_memory():
    tensor = torch.zeros(4)
    reorder(tensor, "ifgo", "ifgo").fill_(1)
    assert not tensor.any()


def test_gradients_pass():
    tensor = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda rows: reorder(rows, "rzn", "zrn"), tensor)


def test_every_format_orders_the_gates_that_rnnkit_has():
    for format, orders in ORDERS.items():
        for cell, order in orders.items():
            assert sorted(order) == sorted(OWN[cell]), (format, cell)


@pytest.mark.parametrize(("source", "target"), [("ifgo", "ifg"), ("ifgo", "ifgx"), ("iifg", "iifg"), ("", "")])
def test_orders_of_other_letters_are_refused(source, target):
    with pytest.raises(UsageError, match=re.escape(f"gates {source!r} cannot become {target!r}")):
        reorder(torch.zeros(4), source, target)


@pytest.mark.parametrize("size", [0, 1, 6])
def test_unequal_gates_are_refused(size):
    with pytest.raises(ShapeError, match=rf"shape \({size},\) holds no 4 equal gates"):
        reorder(torch.zeros(size), "ifgo", "igfo")
