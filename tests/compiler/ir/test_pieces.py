"""Pieces of an inner axis: cut, joined and seen through windows, as torch's slices, cat and pad have them."""

import pytest
import torch

from rnnkit_compiler.ir.graph import Graph, needed
from rnnkit_compiler.ir.pieces import Row, cut, gradient_of_window, join, window

from .evaluation import evaluate

OUTER, SIZE, INNER = 3, 6, 2


def row(graph, outer=OUTER, size=SIZE, number=0):
    return Row(graph.make("state", (), outer * size * INNER, number), outer, size, INNER)


def numbers(*rows):
    return {row.node: torch.arange(float(row.width)).double() + 100 * k for k, row in enumerate(rows, 1)}


@pytest.mark.parametrize("outer", [1, OUTER])
@pytest.mark.parametrize(("start", "stop"), [(0, 6), (0, 2), (2, 4), (3, 6), (1, 6), (5, 6)])
def test_a_cut_is_a_slice(start, stop, outer):
    whole = row(Graph(), outer)
    values = numbers(whole)
    expected = values[whole.node].view(outer, SIZE, INNER)[:, start:stop].flatten()
    assert torch.equal(evaluate(cut(whole, start, stop), values), expected)


@pytest.mark.parametrize("sizes", [(6, 6), (2, 4), (1, 3, 2), (2, 2, 2)])
@pytest.mark.parametrize("outer", [1, OUTER])
def test_a_join_is_a_cat(sizes, outer):
    graph = Graph()
    rows = [row(graph, outer, size, k) for k, size in enumerate(sizes)]
    values = numbers(*rows)
    expected = torch.cat([values[r.node].view(outer, r.size, INNER) for r in rows], 1).flatten()
    assert torch.equal(evaluate(join(rows), values), expected)


@pytest.mark.parametrize("outer", [1, OUTER])
@pytest.mark.parametrize(("start", "stop"), [(-2, 8), (2, 9), (-1, 3), (1, 4), (0, 6), (7, 9)])
def test_a_window_has_zeros_outside_and_its_gradient_looks_back(start, stop, outer):
    whole = row(Graph(), outer)
    values = numbers(whole)
    padded = torch.nn.functional.pad(values[whole.node].view(outer, SIZE, INNER), (0, 0, 10, 10))
    expected = padded[:, 10 + start : 10 + stop].flatten()
    seen = window(whole, start, stop)
    assert torch.equal(evaluate(seen, values).expand(len(expected)), expected)
    if seen.op == "window":
        incoming = Row(whole.node.graph.make("grad_y", (), seen.width), outer, stop - start, INNER)
        values |= {incoming.node: torch.randn(seen.width).double()}
        back = evaluate(gradient_of_window(seen, incoming.node), values)
        # What a window does is linear, so its gradient is its transpose.
        assert float(back @ values[whole.node]) == pytest.approx(float(expected @ values[incoming.node]))


def test_pieces_of_what_was_joined_of_such_pieces_are_no_copies():
    graph = Graph()
    blocks = graph.concat([graph.product(row(graph, number=k).node, 0, SIZE * INNER) for k in range(OUTER)])
    piece = cut(Row(blocks, OUTER, SIZE, INNER), 1, 3)
    assert {node.op for node in needed([piece])} == {"state", "product", "slice", "concat"}
