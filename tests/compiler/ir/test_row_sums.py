"""Sums along a row that are added to each other are one sum where a loop over the row has both."""

import pytest
import torch

from rnnkit_compiler.ir.graph import Graph, needed
from rnnkit_compiler.ir.row_sums import RowSums


@pytest.fixture
def graph():
    return Graph()


def counted(node, op):
    return sum(each.op == op for each in needed([node]))


def test_sums_of_one_width_are_one(graph):
    a, b = (graph.make("vector", (), 8, k) for k in range(2))
    total = RowSums(graph, []).add(graph.sum(a, 8), graph.sum(b, 8))
    assert total.op == "sum"
    assert total.inputs[0].op == "add"


def test_signs_and_factors_in_common_are_taken_out(graph):
    a, b, c = (graph.make("vector", (), 8, k) for k in range(3))
    scale = graph.sum(c, 8).exp()
    total = RowSums(graph, needed([scale])).add(-(scale * graph.sum(a, 8)), -(graph.sum(b, 8) * scale))
    assert [counted(total, op) for op in ("neg", "mul", "sum")] == [1, 1, 2]


def test_what_is_made_later_is_summed_by_itself(graph):
    a, b = (graph.make("vector", (), 8, k) for k in range(2))
    later = b * graph.expand(graph.sum(a, 8).exp(), 8).exp()
    total = RowSums(graph, []).add(graph.sum(a.exp(), 8), graph.sum(later.exp(), 8))
    assert total.op == "add"


@pytest.mark.parametrize("widths", [(8, 4), (8, 1)])
def test_other_widths_are_added_as_they_are(graph, widths):
    one, other = (graph.sum(graph.make("vector", (), width, k), width) for k, width in enumerate(widths))
    assert RowSums(graph, []).add(one, other).op == "add"


def test_the_gradient_of_a_layer_norm_of_four_gates_has_few_sums():
    import rnnkit

    layer = rnnkit.RNN("layernorm", 8, 8, unroller="compiled")
    text = layer.unroller.explain(layer.cells[0])
    backward = next(line for line in text.splitlines() if line.startswith("backward:"))
    assert "10 reductions" in backward, backward
    xs = torch.randn(5, 3, 8, dtype=torch.double)
    layer, loop = layer.double(), rnnkit.RNN("layernorm", 8, 8, unroller="loop").double()
    loop.load_state_dict(layer.state_dict())
    grads = [torch.autograd.grad(each(xs)[0].sin().sum(), list(each.parameters())) for each in (layer, loop)]
    torch.testing.assert_close(*grads, rtol=1e-10, atol=1e-12)
