"""What steps write on their cell, a layer's cell keeps, as the cell by itself does; wherever a copy of it runs."""

import pytest
import torch
from torch import nn
from torch.func import functional_call

import rnnkit

XS = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(0))

UNROLLERS = ("loop", "compiled", "checkpoint", "rtrl", "auto")


class Writing(rnnkit.Cell):
    """Counts its steps, keeps what it computed last, and takes a mean over time, which the next step reads."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.linear = nn.Linear(input_size + hidden_size, hidden_size)
        self.calls = 0
        self.last = None
        self.log = []
        self.by_name = {}
        self.register_buffer("mean", torch.zeros(hidden_size))
        self.register_buffer("count", torch.zeros(()))

    def read(self, x):
        return self.linear(x)

    def step(self, x, state):
        (h,) = state
        h = torch.tanh(self.read(torch.cat([x, h], 1))) + 0.01 * self.calls - 0.1 * self.mean
        self.calls += 1
        self.last = h.detach()
        self.log.append(self.calls)
        self.by_name["h"] = self.last
        self.mean = 0.5 * self.mean + 0.5 * self.last.mean(0)
        self.count += 1
        return h, (h,)


class WithoutModules(Writing):
    """The same, of whose like a layer makes no copy."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.weight, self.bias = self.linear.weight, self.linear.bias
        del self.linear

    def read(self, x):
        return nn.functional.linear(x, self.weight, self.bias)


def plain(kind, calls):
    """Step through time by hand, call after call."""
    torch.manual_seed(0)
    cell, outputs = kind(3, 4), []
    for _ in range(calls):
        state = cell.initial_state(2)
        for x in XS:
            y, state = cell.step(x, state)
            outputs.append(y)
    return cell, torch.stack(outputs).view(calls, *XS.shape[:2], -1)


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("unroller", UNROLLERS)
@pytest.mark.parametrize("kind", [Writing, WithoutModules])
def test_what_a_step_writes_is_there_after_the_call_and_read_by_the_next(kind, unroller, training):
    expected, outputs = plain(kind, 3)
    torch.manual_seed(0)
    layer = rnnkit.RNN(kind, 3, 4, unroller=unroller).train(training)
    for output in outputs:
        torch.testing.assert_close(layer(XS)[0], output)
    (cell,) = layer.cells
    assert (cell.calls, cell.log, float(cell.count)) == (15, expected.log, 15.0)
    for made, truth in ((cell.last, expected.last), (cell.by_name["h"], expected.last), (cell.mean, expected.mean)):
        torch.testing.assert_close(made, truth)
    assert layer.mean_l0 is cell.mean


def test_a_wrapper_and_the_cell_in_it_keep_their_own():
    class Wrapping(rnnkit.Wrapper):
        name = "wrapping"
        seen = 0

        def step(self, p, state):
            self.seen += 1
            return self.inner.step(p, state)

    layer = rnnkit.RNN(Wrapping, 3, 4, unroller="loop", inner=Writing)
    layer(XS)
    layer(XS)
    (cell,) = layer.cells
    assert (cell.seen, cell.inner.calls) == (10, 10)
    assert "calls" not in vars(cell)
    assert "seen" not in vars(cell.inner)


def test_what_is_removed_is_gone():
    class Removing(Writing):
        def step(self, x, state):
            if self.calls < 7:
                return super().step(x, state)
            self.__dict__.pop("last", None)
            return state[0], state

    layer = rnnkit.RNN(Removing, 3, 4, unroller="loop")
    layer(XS)
    layer(XS)
    assert not hasattr(layer.cells[0], "last")


def test_what_is_written_before_a_step_fails_stays():
    class Failing(Writing):
        def step(self, x, state):
            if self.calls == 7:
                raise ValueError("the eighth")
            return super().step(x, state)

    layer = rnnkit.RNN(Failing, 3, 4, unroller="loop")
    layer(XS)
    with pytest.raises(ValueError, match="eighth"):
        layer(XS)
    (cell,) = layer.cells
    assert cell.calls == 7
    assert layer.mean_l0 is cell.mean


def test_weights_of_one_call_leave_what_was_written_but_themselves():
    layer = rnnkit.RNN(Writing, 3, 4, unroller="loop")
    mine = {name: torch.zeros_like(tensor) for name, tensor in layer.named_parameters()}
    functional_call(layer, mine, (XS,))
    (cell,) = layer.cells
    assert cell.calls == 5
    assert all(not torch.equal(tensor, mine[name]) for name, tensor in layer.named_parameters())


def test_torch_compile_keeps_them_too():
    layer = rnnkit.RNN(Counting, 3, 4, unroller="loop")
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    compiled(XS)
    compiled(XS)
    assert layer.cells[0].calls == 10


class Counting(rnnkit.Cell):
    """No more than that."""

    calls = 0

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.read = nn.Linear(input_size + hidden_size, hidden_size)

    def step(self, x, state):
        (h,) = state
        h = torch.tanh(self.read(torch.cat([x, h], 1)))
        self.calls += 1
        return h, (h,)
