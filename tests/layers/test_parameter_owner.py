"""A layer owns the tensors of its cells, wrapped or not, and lends them for the time of a call."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

import rnnkit
from rnnkit.errors import UsageError

xs = torch.randn(5, 2, 4, generator=torch.Generator().manual_seed(0))


class Noisy(rnnkit.Cell):
    """A cell with a parameter, a buffer, one that is not saved, and a submodule."""

    name = "noisy"

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.gain = nn.Parameter(torch.ones(hidden_size))
        self.register_buffer("offset", torch.zeros(hidden_size))
        self.register_buffer("scratch", torch.ones(hidden_size), persistent=False)
        self.register_buffer("nothing", None)
        self.read = nn.Linear(input_size, hidden_size)

    def step(self, p, state):
        h = torch.tanh(self.gain * self.scratch * (self.read(p) + state[0]) + self.offset)
        return h, (h,)


def test_all_that_a_cell_has_is_the_layer_s_under_suffixed_names():
    layer = rnnkit.RNN(Noisy, 4, 3, bidirectional=True)
    assert [name for name, _ in layer.named_parameters()] == [
        "gain_l0",
        "gain_l0_reverse",
        "read_l0.weight",
        "read_l0.bias",
        "read_l0_reverse.weight",
        "read_l0_reverse.bias",
    ]
    assert [name for name, _ in layer.named_buffers()] == [
        "offset_l0",
        "scratch_l0",
        "offset_l0_reverse",
        "scratch_l0_reverse",
    ]
    assert "offset_l0" in layer.state_dict()
    assert "scratch_l0" not in layer.state_dict()
    assert list(layer.parameters_of(1)) == ["gain", "read.weight", "read.bias"]
    assert layer.parameters_of(1)["read.weight"] is layer.read_l0_reverse.weight
    assert layer.parameter_names("gain") == ["gain_l0", "gain_l0_reverse"]


def test_a_wrapper_is_looked_through():
    plain = rnnkit.RNN("gru", 4, 3, num_layers=2, unroller="loop")
    wrapped = rnnkit.RNN("zoneout(variational(gru))", 4, 3, num_layers=2, unroller="loop")
    assert list(wrapped.state_dict()) == list(plain.state_dict())
    wrapped.load_state_dict(plain.state_dict())
    assert not torch.equal(wrapped(xs)[0], plain(xs)[0])
    parts = {**dict(plain.named_parameters()), "weight_hh_l0": torch.zeros(9, 3)}
    variational = rnnkit.RNN("variational(gru)", 4, 3, num_layers=2, unroller="loop").eval()
    found = torch.func.functional_call(variational, parts, (xs,))[0]
    torch.testing.assert_close(found, torch.func.functional_call(plain, parts, (xs,))[0])


@pytest.mark.parametrize("cell", ["residual(residual(rnn))", "residual(norm(residual(rnn)))"])
def test_two_wrappers_of_one_kind_keep_their_own(cell):
    layer = rnnkit.RNN(cell, 4, 3, dtype=torch.float64)
    names = list(layer.state_dict())
    assert len([name for name in names if "weight_skip" in name]) == 2
    assert len(layer.parameters_of(0)) == len(names)
    assert all(row.gradient_norm > 0 for row in rnnkit.gradcheck(layer).raise_if_failed().rows)
    twin = rnnkit.RNN(cell, 4, 3, dtype=torch.float64)
    twin.load_state_dict(layer.state_dict())
    assert torch.equal(twin(xs.double())[0], layer(xs.double())[0])


def test_a_cell_has_what_was_assigned_to_the_layer():
    layer = rnnkit.RNN("residual(gru)", 4, 3)
    layer.load_state_dict({name: torch.zeros_like(tensor) for name, tensor in layer.state_dict().items()}, assign=True)
    rnnkit.init.orthogonal_(layer.cells[0])
    block = layer.weight_hh_l0[:3]
    torch.testing.assert_close(block @ block.T, torch.eye(3))
    layer.weight_skip_l0 = nn.Parameter(torch.ones(3, 4))
    assert layer.cells[0].weight_skip is layer.weight_skip_l0


def test_the_mode_reaches_the_innermost_cell():
    layer = rnnkit.RNN("zoneout(variational(gru))", 4, 3)
    for mode in (False, True):
        layer.train(mode)
        layer(xs)
        cell = layer.cells[0]
        assert (cell.training, cell.inner.training, cell.inner.inner.training) == (mode,) * 3


def test_a_computed_weight_of_a_wrapped_cell_is_used_and_given_back():
    class Halved(nn.Module):
        def forward(self, weight):
            return weight / 2

    layer, plain = (rnnkit.RNN("residual(gru)", 4, 3) for _ in range(2))
    plain.load_state_dict(layer.state_dict())
    held = layer.cells[0].inner.weight_hh
    parametrize.register_parametrization(layer, "weight_hh_l0", Halved())
    with torch.no_grad():
        plain.weight_hh_l0 /= 2
    torch.testing.assert_close(layer(xs)[0], plain(xs)[0])
    assert layer.cells[0].inner.weight_hh is held
    torch.testing.assert_close(layer.parameters_of(0)["weight_hh"], plain.weight_hh_l0)


def test_an_unknown_weight_is_said_in_a_sentence():
    with pytest.raises(UsageError, match=r"no cell has a weight 'weight_gh' \(did you mean 'weight_ih'"):
        rnnkit.RNN("gru", 4, 3).parameter_names("weight_gh")
