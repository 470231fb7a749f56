"""The cell's own methods, and the helpers that unrollers are written with."""

import pytest
import torch

import rnnkit
from rnnkit.core.cell import building, time_slice
from rnnkit.errors import KindError, UsageError

from ..core_cells import CORE_CELLS


class Sum(rnnkit.Cell):
    """Adds up its inputs; no parameters."""

    name = "sum"

    def step(self, p, state):
        h = state[0] + p
        return h, (h,)


@pytest.mark.parametrize("size", [0, -1, 2.0, True, None, "4"])
@pytest.mark.parametrize("position", ["input_size", "hidden_size"])
@pytest.mark.parametrize("name", CORE_CELLS)
def test_sizes_are_whole_numbers_above_zero(name, position, size):
    sizes = {"input_size": 3, "hidden_size": 4, position: size}
    with pytest.raises(UsageError, match=rf"{position} is {size!r}; it must be a whole number >= 1"):
        rnnkit.cells[name](**sizes)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", CORE_CELLS)
def test_the_initial_state_is_zero_in_the_weights_dtype(name, dtype):
    with building(None, dtype):
        cell = rnnkit.cells[name](3, 4)
    state = cell.initial_state(2)
    assert len(state) == len(cell.state_names)
    for tensor in state:
        assert torch.equal(tensor, torch.zeros(2, 4, dtype=dtype))


@pytest.mark.parametrize("name", CORE_CELLS)
def test_forward_is_a_sequence_of_one_step(name):
    torch.manual_seed(0)
    cell, x = rnnkit.cells[name](3, 4), torch.randn(2, 3)
    state = tuple(torch.randn_like(tensor) for tensor in cell.initial_state(2))
    for before in (None, state):
        torch.manual_seed(1)
        y, after = cell(x, before)
        torch.manual_seed(1)
        ys, last = rnnkit.unrollers["loop"]()(cell, x.unsqueeze(0), before)
        torch.testing.assert_close((y, *after), (ys[0], *last))


def test_a_cell_without_tensors_takes_dtype_and_device_from_its_input():
    cell = Sum(3, 3)
    for like in (torch.ones(2, 3, dtype=torch.float64), torch.ones(2, 3, device="meta")):
        for y, (h,) in (cell(like), rnnkit.unrollers["loop"]()(cell, like.unsqueeze(0))):
            assert (y.dtype, y.device, h.dtype, h.device) == (like.dtype, like.device) * 2


def test_projections_are_sliced_by_time():
    whole, parts = torch.arange(6.0).view(3, 2), (torch.arange(3), torch.arange(3) * 10)
    assert time_slice(whole, 1).tolist() == [2, 3]
    assert [part.item() for part in time_slice(parts, 2)] == [2, 20]
    assert [p.tolist() for p in rnnkit.time_slices(whole)] == [[0, 1], [2, 3], [4, 5]]
    assert [tuple(part.item() for part in p) for p in rnnkit.time_slices(parts)] == [(0, 0), (1, 10), (2, 20)]


def test_holding_lends_tensors_for_a_while_even_through_an_error():
    layer = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    weight, mean = layer[0].weight, layer[1].running_mean
    lent = {"0.weight": torch.zeros(2, 2), "1.running_mean": torch.ones(2)}

    def fail_while_holding():
        with rnnkit.tensors_replaced(layer, lent):
            assert layer[0].weight is lent["0.weight"]
            assert layer[1].running_mean is lent["1.running_mean"]
            raise KeyError("inside")

    with pytest.raises(KeyError, match="inside"):
        fail_while_holding()
    assert layer[0].weight is weight
    assert layer[1].running_mean is mean


def test_shows_its_sizes():
    assert repr(rnnkit.cells["lstm"](3, 4)) == "LSTM(3, 4)"
    assert repr(rnnkit.cells["rnn"](3, 4, nonlinearity="relu")) == "RNN(3, 4, nonlinearity='relu')"


def test_an_unknown_nonlinearity_names_those_that_there_are():
    with pytest.raises(UsageError, match=r"cell 'rnn': nonlinearity is 'sine'; it must be one of tanh, relu"):
        rnnkit.cells["rnn"](3, 4, nonlinearity="sine")


class Named(Sum):
    """Derived from a cell with a name."""


class Renamed(Named):
    """With a name of its own."""

    name = "other"


def test_a_class_without_a_name_of_its_own_is_called_by_its_own():
    class Again(Renamed):
        """Not called by its parent's name."""

    kinds = (Sum, Named, Renamed, Again, type("Made", (Renamed,), {}))
    assert [kind.name for kind in kinds] == ["sum", "named", "other", "again", "made"]
    assert rnnkit.gradcheck(Named).cell == "named"
    wrapper = type("Wide", (rnnkit.cells["zoneout"],), {"__doc__": "A wrapper."})
    assert (wrapper.name, wrapper(2, 3, inner="gru").name) == ("wide", "wide")
    assert type("Mine", (rnnkit.unrollers["loop"],), {}).name == "mine"
    assert type("Task", (rnnkit.tasks["adding"],), {}).name == "task"


def test_a_cell_that_torch_parametrizes_keeps_its_name():
    cell = rnnkit.cells["lstm"](3, 4)
    torch.nn.utils.parametrize.register_parametrization(cell, "weight_hh", torch.nn.Identity())
    assert type(cell) is not rnnkit.cells["lstm"]
    assert cell.name == "lstm"


def test_the_state_of_a_cell_with_real_and_complex_parameters_is_real():
    class Turns(rnnkit.Cell):
        def __init__(self, input_size, hidden_size):
            super().__init__(input_size, hidden_size)
            self.angles = torch.nn.Parameter(torch.randn(hidden_size, dtype=torch.complex64))
            self.read = torch.nn.Linear(input_size + hidden_size, hidden_size)

        def step(self, p, state):
            h = torch.tanh(self.read(torch.cat([p, state[0]], 1))) * self.angles.abs()
            return h, (h,)

    assert [h.dtype for h in Turns(3, 4).initial_state(2)] == [torch.float32]
    assert rnnkit.RNN(Turns, 3, 4)(torch.randn(5, 2, 3))[0].shape == (5, 2, 4)


@pytest.mark.parametrize("name", ["state_sizes", "output_size"])
def test_a_method_where_a_property_is_read_is_said_when_the_class_is_made(name):
    with pytest.raises(KindError, match=f"Wide.{name} is a method; write @property above it"):
        type("Wide", (rnnkit.Cell,), {name: lambda self: (3, 4), "__qualname__": "Wide"})
