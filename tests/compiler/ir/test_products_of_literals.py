"""A product reads memory, in which no literal stands: it is zero, or the literal is put there first."""

import torch

import rnnkit
from rnnkit.testing import differences
from rnnkit_compiler.backends.cpp.runtime import CpuRuntime
from rnnkit_compiler.ir.graph import Graph


def test_products_of_literals():
    graph = Graph()
    assert graph.product(graph.number(0), 0, 4).is_zero
    product = graph.product(graph.number(2), 0, 4)
    assert product.inputs[0].op == "expand"


class OfOne(rnnkit.Cell):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.weight = torch.nn.Parameter(torch.randn(1, hidden_size))
        self.other = torch.nn.Parameter(torch.randn(1, hidden_size))

    def step(self, x, state):
        (h,) = state
        nothing, one = torch.zeros_like(h[:, :1]), torch.ones_like(h[:, :1])
        h = torch.tanh(x[:, :1] + h + nothing @ self.other + one @ self.weight)
        return h, (h,)


def test_a_step_that_multiplies_literals(monkeypatch):
    """Where nobody has written stands NaN, which is not to be read."""
    take = CpuRuntime.allocate

    def taken(*given):
        memory = take(*given)
        return memory.fill_(torch.nan) if memory.is_floating_point() else memory.fill_(255)

    monkeypatch.setattr(CpuRuntime, "allocate", staticmethod(taken))
    cell, xs = OfOne(2, 3).double(), torch.randn(4, 3, 2, dtype=torch.float64)
    compiled = rnnkit.unrollers["compiled"]()
    assert compiled.backend_of(cell) == "cpp"
    assert [*differences(compiled, cell, 4, 3, 1e-10)] == []
    with torch.no_grad():  # where nothing is kept for the way back
        torch.testing.assert_close(compiled(cell, xs), rnnkit.unrollers["loop"]()(cell, xs))
