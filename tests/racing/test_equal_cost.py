"""Every cell that is registered comes near the first one, in parameters and in work."""

import pytest
import torch

import rnnkit
from rnnkit.errors import UsageError
from rnnkit.racing.defaults import TOLERANCE
from rnnkit.racing.equal_cost import equal_sizes, flops, parameters

from ..core_cells import CORE_CELLS

CELLS = [name for name in CORE_CELLS if not issubclass(rnnkit.cells[name], rnnkit.Wrapper)]
WRAPPED = [f"{name}(gru)" for name in CORE_CELLS if name not in CELLS]


@pytest.mark.parametrize(("equal", "cells"), [("parameters", [*CELLS, *WRAPPED]), ("flops", CELLS)], ids=str)
def test_every_cell_comes_near_the_first(small_settings, equal, cells):
    settings = small_settings(("lstm", *(cell for cell in cells if cell != "lstm")), equal=equal)
    task = settings.run.make_task()
    sizes = equal_sizes(settings, task)
    assert [size.cell for size in sizes] == list(settings.cells)
    assert (sizes[0].hidden, sizes[0].off) == (16, 0)
    goal = getattr(sizes[0], equal)
    of = {"parameters": parameters, "flops": flops}[equal]
    for number, size in enumerate(sizes):
        run = settings.training(number, 1, 0.01, 0)
        assert abs(size.off) <= TOLERANCE
        assert getattr(size, equal) == of(run, task, size.hidden)
        assert size.off == pytest.approx(getattr(size, equal) / goal - 1)
        for other in (size.hidden - 1, size.hidden + 1):  # none is nearer
            assert abs(of(run, task, other) / goal - 1) >= abs(size.off)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("task", ["adding", "copy"])
def test_parameters_are_those_that_are_trained(small_settings, cell, task):
    settings = small_settings((cell, "zoneout(gru)"), task=task, run={"layers": 2}.items()).training(0, 12, 0.01, 0)
    task = settings.make_task()
    model = settings.make_model(task)
    assert parameters(settings, task, 12) == sum(p.numel() for p in model.parameters())


def test_the_work_of_an_lstm_is_that_of_its_matrices(small_settings):
    """D and H into 4 H, and H into the readout; back twice as much, but that no gradient goes to the input."""
    settings = small_settings(("lstm", "gru")).training(0, 16, 0.01, 0)
    task, wide, hidden = settings.make_task(), 2, 16
    forward = 2 * (4 * hidden * (wide + hidden) + hidden)
    backward = 2 * forward - 2 * 4 * hidden * wide
    assert flops(settings, task, hidden) == forward + backward


def test_counting_draws_no_random_numbers(small_settings):
    settings = small_settings(equal="flops")
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    equal_sizes(settings, settings.run.make_task())
    assert torch.rand(1) == expected


class Even(rnnkit.Cell):
    """Takes sizes that are even."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        if hidden_size % 2:
            raise ValueError(f"the hidden size is {hidden_size}; it must be even")
        self.read = torch.nn.Linear(input_size + hidden_size, hidden_size)

    def step(self, x, state):
        h = torch.tanh(self.read(torch.cat([x, state[0]], 1)))
        return h, (h,)


class Fixed(rnnkit.Cell):
    """Has as many parameters at any size."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.one = torch.nn.Parameter(torch.ones(1))

    def step(self, x, state):
        h = state[0] * self.one
        return h, (h,)


@pytest.fixture
def with_own_cells(monkeypatch):
    """Let `racing_cells:Even` and the like be imported."""
    import sys
    from types import ModuleType

    module = ModuleType("racing_cells")
    module.Even, module.Fixed = Even, Fixed
    monkeypatch.setitem(sys.modules, "racing_cells", module)


@pytest.mark.usefixtures("with_own_cells")
def test_a_cell_that_takes_some_sizes_alone_gets_one_of_them(small_settings):
    settings = small_settings(("lstm", "racing_cells:Even"))
    size = equal_sizes(settings, settings.run.make_task())[1]
    assert size.cell == "even"
    assert size.hidden % 2 == 0
    assert abs(size.off) <= TOLERANCE


def test_a_cell_that_comes_nowhere_near_is_named(small_settings):
    settings = small_settings(("lstm", "gru"), run={"hidden": 2}.items())
    nowhere = r"cell 'gru' comes no nearer to the 51 parameters of 'lstm' than \d+, .*; take hidden size \d+ for the"
    with pytest.raises(UsageError, match=nowhere):
        equal_sizes(settings, settings.run.make_task())


def test_a_cell_that_refuses_its_options_is_named(small_settings):
    settings = small_settings(("lstm", "rnn(colour=1)"))
    with pytest.raises(UsageError, match="cell 'rnn' has no option 'colour'"):
        equal_sizes(settings, settings.run.make_task())


def test_hidden_sizes_may_be_equal_whatever_they_cost(small_settings):
    settings = small_settings(("peephole", "lstm", "rnn"), equal="hidden")
    sizes = equal_sizes(settings, settings.run.make_task())
    assert {(size.hidden, size.off) for size in sizes} == {(16, 0)}
    assert len({size.parameters for size in sizes}) == 3


def test_a_size_at_which_all_come_near_is_named(small_settings):
    settings = small_settings(("lstm", "gru", "rnn"), run={"hidden": 1}.items())
    with pytest.raises(UsageError, match=r"take hidden size (\d+) for the first") as refusal:
        equal_sizes(settings, settings.run.make_task())
    hidden = int(str(refusal.value).partition("hidden size")[2].partition("take hidden size ")[2].split()[0])
    larger = small_settings(("lstm", "gru", "rnn"), run={"hidden": hidden}.items())
    assert len(equal_sizes(larger, larger.run.make_task())) == 3
