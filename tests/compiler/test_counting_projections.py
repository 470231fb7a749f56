"""A projection that counts its calls is called as often as by the loop: recording runs it on a copy of the cell."""

import pytest
import torch

import rnnkit

XS = torch.randn(3, 2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


class Counting(rnnkit.Cell):
    """Divides its input by the number of calls."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.weight = torch.nn.Parameter(torch.randn(hidden_size, hidden_size))
        self.count = 0

    def project(self, xs):
        self.count += 1
        return xs / self.count

    def step(self, x, state):
        (h,) = state
        h = torch.tanh(h @ self.weight + x[:, :1])
        return h, (h,)


class InBuffer(Counting):
    """Counts in a buffer, by an index."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.register_buffer("calls", torch.zeros(1))

    def project(self, xs):
        self.calls[0] += 1
        return xs / self.calls


@pytest.mark.parametrize("unroller", ["auto", "compiled"])
@pytest.mark.parametrize("kind", [Counting, InBuffer])
def test_it_counts_the_calls_of_the_user_alone(kind, unroller):
    torch.manual_seed(0)
    layer = rnnkit.RNN(kind, 4, 5, dtype=torch.float64)
    truth = rnnkit.RNN(kind, 4, 5, dtype=torch.float64, unroller="loop")
    truth.load_state_dict(layer.state_dict())
    layer.unroller = unroller
    for xs in XS:
        torch.testing.assert_close(layer(xs)[0], truth(xs)[0], rtol=0, atol=1e-12)
    assert layer.cells[0].count == truth.cells[0].count
