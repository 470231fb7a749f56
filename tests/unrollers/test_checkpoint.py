"""Checkpointing gives the loop's bits, whatever is asked of autograd, and makes the runs that its schedule says."""

import random

import pytest
import torch
from torch.nn.utils import parametrizations

import rnnkit
from rnnkit.core.cell import building
from rnnkit.errors import ResourceError, UsageError
from rnnkit.testing import differences

from ..core_cells import CORE_CELLS

Checkpoint = rnnkit.unrollers["checkpoint"]
Loop = rnnkit.unrollers["loop"]
SETTINGS = [{}, {"segment": 1}, {"segment": 4}, {"segment": 100}, {"budget": 6000}, {"budget": 100_000}]


def build(name="lstm", inputs=3, hidden=4, dtype=torch.float64):
    with building(None, dtype):
        return rnnkit.cells[name](inputs, hidden)


def problem(steps=17, batch=2, name="lstm", dtype=torch.float64):
    """Return a cell, an input and a state, all of which want gradients."""
    torch.manual_seed(0)
    cell = build(name, dtype=dtype)
    xs = torch.randn(steps, batch, 3, dtype=dtype, requires_grad=True)
    state = tuple(torch.randn(batch, 4, dtype=dtype, requires_grad=True) for _ in cell.state_names)
    return cell, xs, state


def assert_same_bits(found, expected):
    assert len(found) == len(expected)
    for position, (result, wanted) in enumerate(zip(found, expected, strict=True)):
        assert (result is None) == (wanted is None), position
        assert result is None or (result.dtype == wanted.dtype and torch.equal(result, wanted)), position


def both(function):
    """Do the same through checkpoint and through the loop, and hold the results to the same bits."""
    expected = function(Loop())
    assert_same_bits(function(Checkpoint()), expected)
    assert_same_bits(function(Checkpoint(segment=3)), expected)
    assert_same_bits(function(Checkpoint(budget=4000)), expected)
    return expected


@pytest.mark.parametrize("draws", [8, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", CORE_CELLS)
def test_the_loop_s_bits_at_random_sizes(name, draws):
    choose = random.Random(name)
    torch.manual_seed(0)
    for _ in range(draws):
        steps, batch, inputs, hidden = (choose.randint(1, most) for most in (40, 4, 5, 9))
        cell = build(name, inputs, hidden, choose.choice([torch.float32, torch.float64]))
        lengths = torch.randint(1, steps + 1, (batch,)) if choose.random() < 0.5 else None
        reset = torch.rand(steps, batch) < 0.2 if choose.random() < 0.5 else None
        options = choose.choice(SETTINGS)
        if "budget" in options:
            options = {"budget": options["budget"] * batch * hidden}
        assert list(differences(Checkpoint(**options), cell, steps, batch, 0.0, lengths=lengths, reset=reset)) == []


@pytest.mark.parametrize("used", ["every output", "the last output", "one state", "all states"])
@pytest.mark.parametrize("name", CORE_CELLS)
def test_a_loss_of_some_of_the_results(name, used):
    cell, xs, state = problem(name=name)

    def gradients(unroller):
        torch.manual_seed(1)  # for what a cell draws
        ys, last = unroller(cell, xs, state)
        loss = {"every output": ys, "the last output": ys[-1], "one state": last[-1], "all states": torch.stack(last)}
        inputs = [xs, *state, *cell.parameters()]
        return torch.autograd.grad(loss[used].sin().sum(), inputs, materialize_grads=True)

    assert all(gradient.any() for gradient in both(gradients)[:2])


@pytest.mark.parametrize("frozen", ["input", "states", "weight_hh", "weight_ih", "all weights", "all but the input"])
def test_some_tensors_want_no_gradient(frozen):
    cell, xs, state = problem()
    parameters = dict(cell.named_parameters())
    still = {
        "input": [xs],
        "states": state,
        "all weights": parameters.values(),
        "all but the input": [*state, *parameters.values()],
    }
    for tensor in still.get(frozen) or [parameters[frozen]]:
        tensor.requires_grad_(False)
    wanted = [tensor for tensor in (xs, *state, *parameters.values()) if tensor.requires_grad]

    def gradients(unroller):
        ys, last = unroller(cell, xs, state)
        return torch.autograd.grad(ys.sin().sum() + last[1].sum(), wanted)

    assert len(both(gradients)) == len(wanted) > 0


def test_backward_twice():
    cell, xs, state = problem()
    tensors = [xs, *state, *cell.parameters()]

    def gradients(unroller):
        ys, last = unroller(cell, xs, state)
        first = torch.autograd.grad(ys.sin().sum(), tensors, retain_graph=True)
        return first + torch.autograd.grad(ys.cos().sum() + last[0].sum(), tensors)

    both(gradients)


def test_two_unrolls_of_one_cell_add_up():
    cell, xs, state = problem()

    def gradients(unroller):
        ys, last = unroller(cell, xs, state)
        more, _ = unroller(cell, xs * 2, last)
        cell.zero_grad()
        (ys * more).sum().backward()
        return [parameter.grad for parameter in cell.parameters()]

    found, expected = (gradients(unroller) for unroller in (Checkpoint(), Loop()))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_double_backward():
    cell, xs, state = problem(steps=7)
    tensors = [xs, *state, *cell.parameters()]

    def second(unroller):
        ys, last = unroller(cell, xs, state)
        first = torch.autograd.grad(ys.sin().sum() + last[1].sum(), tensors, create_graph=True)
        return torch.autograd.grad(sum((gradient**2).sum() for gradient in first), tensors)

    torch.testing.assert_close(second(Checkpoint()), second(Loop()), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", CORE_CELLS)
def test_autocast(name):
    cell, xs, _ = problem(name=name, dtype=torch.float32)

    def results(unroller):
        torch.manual_seed(1)  # for what a cell draws
        with torch.autocast("cpu", dtype=torch.bfloat16):
            ys, last = unroller(cell, xs)
        gradients = torch.autograd.grad(ys.float().sin().sum(), [xs, *cell.parameters()])  # outside of autocast
        return (ys, *last), gradients

    (expected, expected_gradients), (found, gradients) = results(Loop()), results(Checkpoint())
    assert not torch.equal(expected[0].float(), Loop()(cell, xs)[0])  # autocast was in force
    assert_same_bits(found, expected)
    # Autocast keeps one bfloat16 copy of a weight for as long as it is on, and adds gradients up in it: over the whole
    # sequence in the loop, over a segment here.
    for gradient, wanted in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, wanted, rtol=0, atol=2**-7 * float(wanted.abs().max()))


def test_without_gradients_nothing_is_recorded():
    cell, xs, state = problem()
    with torch.no_grad():
        ys, last = Checkpoint()(cell, xs, state)
    expected_ys, expected_last = Loop()(cell, xs, state)
    assert not ys.requires_grad
    assert_same_bits((ys, *last), (expected_ys.detach(), *(tensor.detach() for tensor in expected_last)))


def test_weights_changed_between_the_passes_are_noticed():
    cell, xs, _ = problem()
    ys, _ = Checkpoint()(cell, xs)
    with torch.no_grad():
        cell.weight_hh.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        ys.sum().backward()


def test_weights_replaced_between_the_passes_are_those_of_the_first():
    cell, xs, _ = problem()
    expected = torch.autograd.grad(Loop()(cell, xs)[0].sum(), xs)
    ys, _ = Checkpoint()(cell, xs)
    cell.weight_hh = torch.nn.Parameter(torch.randn_like(cell.weight_hh))
    assert_same_bits(torch.autograd.grad(ys.sum(), xs), expected)


def test_computed_weights_get_the_loop_s_gradients():
    torch.manual_seed(0)
    layer = rnnkit.RNN("lstm", 3, 4, dtype=torch.float64)
    parametrizations.spectral_norm(layer, "weight_hh_l0")
    layer.eval()  # or the power iteration would go on from call to call
    xs = torch.randn(11, 2, 3, dtype=torch.float64, requires_grad=True)

    def gradients(unroller):
        layer.unroller = unroller
        return torch.autograd.grad(layer(xs)[0].sin().sum(), [xs, *layer.parameters()])

    both(gradients)


def test_replays_leave_the_random_state_alone():
    class Noisy(rnnkit.cells["rnn"]):
        def project(self, xs):
            return super().project(xs) * torch.bernoulli(torch.full_like(xs[..., :1], 0.5))

    torch.manual_seed(0)
    with building(None, torch.float64):
        cell = Noisy(3, 4)
    xs = torch.randn(17, 2, 3, dtype=torch.float64)
    found = []
    for unroller in (Loop(), Checkpoint(), Checkpoint(budget=2000)):
        torch.manual_seed(1)
        ys, _ = unroller(cell, xs)
        drawn = torch.rand(3, dtype=torch.float64)
        gradients = torch.autograd.grad(ys.sin().sum(), list(cell.parameters()))
        found.append([ys, drawn, *gradients, torch.rand(3, dtype=torch.float64)])
    assert_same_bits(found[1], found[0])
    assert_same_bits(found[2], found[0])


class Counting(rnnkit.cells["lstm"]):
    """An LSTM that counts its steps."""

    steps = 0

    def step(self, p, state):
        self.steps += 1
        return super().step(p, state)


@pytest.mark.parametrize("options", [*SETTINGS, {"budget": 700}, {"budget": 1500}], ids=str)
@pytest.mark.parametrize("time", [1, 2, 17, 40])
def test_steps_are_run_as_often_as_the_schedule_says(time, options):
    """One more tells how much autograd keeps, for a budget: of a copy, whose count is not the cell's."""
    cell = Counting(3, 4)
    xs = torch.randn(time, 2, 3)
    schedule = Checkpoint(**options).schedule(cell, xs, cell.initial_state(2))
    cell.steps = 0
    ys, _ = Checkpoint(**options)(cell, xs)
    ys.sum().backward()
    last = time - (schedule.blocks - 1) * schedule.leaf
    shorter = schedule.leaf - last
    if shorter == 0:
        assert cell.steps == schedule.runs() + last
    else:
        assert time * 2 <= cell.steps <= schedule.runs() + last


def test_a_budget_that_nothing_fits_names_one_that_does():
    cell, xs, state = problem()
    with pytest.raises(ResourceError, match=r"budget=10 bytes is too small; .* take \d+ bytes") as caught:
        Checkpoint(budget=10)(cell, xs, state)
    least = int(str(caught.value).split(" take ")[1].split()[0])
    with pytest.raises(ResourceError):
        Checkpoint(budget=least - 1)(cell, xs, state)
    ys, _ = Checkpoint(budget=least)(cell, xs, state)
    assert_same_bits(torch.autograd.grad(ys.sum(), xs), torch.autograd.grad(Loop()(cell, xs, state)[0].sum(), xs))


@pytest.mark.parametrize("options", [{"segment": 0}, {"segment": 2.0}, {"budget": -1}, {"segment": 2, "budget": 999}])
def test_options_that_make_no_sense(options):
    with pytest.raises(UsageError, match="unroller 'checkpoint'"):
        Checkpoint(**options)


def test_shows_its_options():
    assert [repr(Checkpoint()), repr(Checkpoint(segment=8)), repr(Checkpoint(budget=9))] == [
        "checkpoint",
        "checkpoint(segment=8)",
        "checkpoint(budget=9)",
    ]


def test_tied_weights_have_the_loop_s_gradient_under_functional_call():
    class Tied(rnnkit.Cell):
        name = "tied"

        def __init__(self, input_size, hidden_size):
            super().__init__(input_size, hidden_size)
            self.inward = torch.nn.Linear(input_size, hidden_size)
            self.across = torch.nn.Linear(hidden_size, hidden_size)
            self.across.weight = self.inward.weight

        def step(self, p, state):
            h = torch.tanh(self.inward(p) + self.across(state[0]))
            return h, (h,)

    xs, found = torch.randn(9, 2, 4), []
    for unroller in ("loop", "checkpoint"):
        torch.manual_seed(0)
        layer = rnnkit.RNN(Tied, 4, 4, unroller=unroller)
        lent = {name: (2 * p).detach().requires_grad_() for name, p in layer.named_parameters()}
        torch.func.functional_call(layer, lent, (xs,))[0].sum().backward()
        found.append([tensor.grad for tensor in lent.values()])
    assert all(map(torch.equal, *found))


def test_a_drawn_initial_state_is_drawn_once():
    class Drawn(rnnkit.cells["gru"]):
        def initial_state(self, batch_size):
            return (torch.randn(batch_size, self.hidden_size),)

    cell, xs, outputs = Drawn(3, 4), torch.randn(5, 2, 3), []
    reset = torch.rand(5, 2) < 0.5
    for unroller in (Loop(), Checkpoint()):
        torch.manual_seed(0)
        with torch.no_grad():
            outputs.append(unroller(cell, xs, reset=reset)[0])
    assert torch.equal(*outputs)
