"""A stepper gives the layer's numbers, step by step, whatever runs the layer."""

import copy

import pytest
import torch

import rnnkit
from rnnkit.errors import ShapeError, UsageError

from ..core_cells import CORE_CELLS

STEPS, ROWS = 5, 3
WRAPPED = ["zoneout(lstm)", "residual(gru)", "norm(rnn)", "learnt_state(lstm)", "variational(lstm)"]


def layer_of(cell, **options):
    torch.manual_seed(0)
    return rnnkit.RNN(cell, 4, 5, **options).eval()


def stream(rows=ROWS):
    return torch.randn(STEPS, rows, 4, generator=torch.Generator().manual_seed(2))


def assert_close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def assert_steps_as_the_layer(layer, rows=ROWS):
    xs, stepper = stream(rows), layer.stepper(rows)
    with torch.no_grad():
        ys, state = layer(xs.transpose(0, 1) if layer.batch_first else xs)
    ys = ys.transpose(0, 1) if layer.batch_first else ys
    assert_close(torch.stack([stepper(x) for x in xs]), ys)
    for a, b in zip(layer.layout.flat(stepper.state), layer.layout.flat(state), strict=True):
        assert_close(a, b)
    stepper.reset()
    assert_close(torch.stack([stepper(x) for x in xs]), ys)
    return stepper


STACKS = {
    "cells": (["lstm", "gru", "zoneout(lstm)"], 5),
    "widths": ("lstm", [7, 5]),
    "alike": (["gru", "gru"], 5),
}


@pytest.mark.parametrize("stack", STACKS)
def test_layers_of_different_form_run_in_kernels(stack):
    cells, width = STACKS[stack]
    torch.manual_seed(0)
    stepper = assert_steps_as_the_layer(rnnkit.RNN(cells, 4, width).eval())
    assert stepper.explain() == "in kernels, the state in place"


@pytest.mark.parametrize("cell", [*CORE_CELLS, *WRAPPED])
def test_every_cell(cell):
    stepper = assert_steps_as_the_layer(layer_of(cell))
    assert stepper.explain() == "in kernels, the state in place"


FORMS = {
    "one row": ({}, 1),
    "two layers": ({"num_layers": 2}, ROWS),
    "batch first": ({"batch_first": True, "num_layers": 2}, ROWS),
    "projected": ({"proj_size": 3, "num_layers": 2}, ROWS),
    "double": ({"dtype": torch.float64}, ROWS),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form(form):
    options, rows = FORMS[form]
    if "dtype" in options:
        layer = layer_of("lstm", **options)
        stepper = layer.stepper(rows)
        ys = torch.stack([stepper(x) for x in stream(rows).double()])
        torch.testing.assert_close(ys, layer(stream(rows).double())[0].detach(), rtol=1e-12, atol=1e-12)
    else:
        assert "kernels" in repr(assert_steps_as_the_layer(layer_of("lstm", **options), rows))


SLOW = {
    "loop": (lambda: layer_of("lstm", unroller="loop"), "unroller 'loop' has nothing quicker for cell 'lstm'"),
    "residual": (
        lambda: layer_of("lstm", num_layers=2, residual=True),
        "between its layers there is more than the output of one: residual connections",
    ),
    "computed": (lambda: normed(layer_of("lstm")), "its weights are computed from others"),
}


def normed(layer):
    torch.nn.utils.parametrizations.weight_norm(layer, "weight_hh_l0")
    return layer


@pytest.mark.parametrize("kind", SLOW)
def test_where_no_kernel_runs_it_calls_the_layer_and_says_so(kind):
    make, reason = SLOW[kind]
    stepper = assert_steps_as_the_layer(make())
    assert stepper.explain().startswith(f"by calls of the layer: {reason}")
    assert stepper.explain() in repr(stepper)


def test_outputs_are_not_overwritten_unless_room_is_given():
    stepper, xs = layer_of("lstm").stepper(ROWS), stream()
    first = stepper(xs[0])
    kept = first.clone()
    room = torch.full((ROWS, 5), 7.0)
    assert stepper(xs[1], out=room) is room
    assert torch.equal(first, kept)
    stepper.reset()
    stepper(xs[0])
    assert torch.equal(stepper(xs[1]), room)


def test_the_state_is_a_copy_and_may_be_set():
    layer = layer_of("lstm", num_layers=2)
    stepper, xs = layer.stepper(ROWS), stream()
    stepper(xs[0])
    kept = stepper.state
    second = stepper(xs[1])
    stepper.state = kept
    assert torch.equal(stepper(xs[1]), second)
    kept[0].zero_()
    assert torch.equal(layer(xs[2:3], stepper.state)[0][0].detach().shape == second.shape and second, second)
    with pytest.raises(ShapeError, match="hx has 1 tensor"):
        stepper.state = (kept[0],)


def exchange(layer):
    for parameter in layer.parameters():
        parameter.data = 2 * parameter.data


def overwrite(layer):
    for parameter in layer.parameters():
        parameter.data.mul_(2)


def assign(layer):
    layer.load_state_dict({name: 2 * tensor for name, tensor in layer.state_dict().items()}, assign=True)


def learn(layer):
    layer(stream())[0].sum().backward()
    torch.optim.SGD(layer.parameters(), lr=1.0).step()


@pytest.mark.parametrize("change", [exchange, overwrite, assign, learn])
@pytest.mark.parametrize("cell", ["lstm", "peephole", "zoneout(gru)"])
@pytest.mark.covering(1)
def test_weights_are_read_as_they_are_at_each_step(cell, change):
    layer = layer_of(cell)
    stepper, xs = layer.stepper(ROWS), stream()
    stepper(xs[0])
    change(layer)
    state = stepper.state
    with torch.no_grad():
        expected = copy.deepcopy(layer)(xs[1:2], state)[0][0]
    assert_close(stepper(xs[1]), expected)


class Nested(rnnkit.Cell):
    """Has its weights in modules of its own."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.read, self.recall = torch.nn.Linear(input_size, hidden_size), torch.nn.Linear(hidden_size, hidden_size)

    def project(self, xs):
        return self.read(xs)

    def step(self, p, state):
        h = torch.tanh(p + self.recall(state[0]))
        return h, (h,)


def test_weights_of_each_module_are_looked_at():
    layer = layer_of(Nested)
    stepper, xs = layer.stepper(ROWS), stream()
    stepper(xs[0])
    for tensor in (layer.cells[0].read.weight, layer.cells[0].recall.weight):
        tensor.data = 1 + 2 * tensor.data
        state = stepper.state
        with torch.no_grad():
            expected = copy.deepcopy(layer)(xs[1:2], state)[0][0]
        assert_close(stepper(xs[1]), expected)
    assert stepper.explain() == "in kernels, the state in place"


def test_it_follows_the_layer_into_training_and_another_dtype():
    layer = layer_of("lstm", num_layers=2, dropout=0.9)
    stepper, xs = layer.stepper(ROWS), stream()
    stepper(xs[0])
    layer.train()
    torch.manual_seed(3)
    given, state = stepper(xs[1]), stepper.state
    assert stepper.explain().endswith("there is more than the output of one: dropout, in training")
    stepper.reset()
    layer.double().eval()
    assert stepper(xs[0].double()).dtype == torch.float64
    assert stepper.state[0].dtype == torch.float64
    assert given.dtype == state[0].dtype == torch.float32


def test_gradients_do_not_flow_and_transforms_see_every_operation():
    stepper = layer_of("lstm").stepper(ROWS)
    x = stream()[0].requires_grad_()
    assert not stepper(x).requires_grad


def test_autocast_reaches_into_it():
    layer = layer_of("lstm")
    layer.unroller = "loop"
    rounded = assert_autocast_reaches_into(layer)
    layer.unroller = "compiled"
    assert_autocast_reaches_into(layer)
    assert rounded, "the loop rounds on every processor"


def assert_autocast_reaches_into(layer, rows=40):
    """Tell whether it makes a difference."""
    stepper, x = layer.stepper(rows), stream(rows)[0]
    stepper(x)
    state = stepper.state
    with torch.no_grad():
        plain = layer(x.unsqueeze(0), state)[0][0]
        with torch.autocast("cpu", torch.bfloat16):
            expected, found = layer(x.unsqueeze(0), state)[0][0], stepper(x)
    assert torch.equal(found, expected.to(found.dtype))
    return not torch.equal(plain, expected.to(plain.dtype))


def test_other_memory_goes_the_long_way():
    layer = layer_of("lstm")
    stepper, xs = layer.stepper(ROWS), stream()
    expected = layer(-xs)[0].detach()
    negated = [torch._neg_view(x) for x in xs]
    assert_close(torch.stack([stepper(x) for x in negated]), expected)


REFUSED = {
    "another width": (torch.zeros(ROWS, 3), "input_size is 4"),
    "another batch": (torch.zeros(2, 4), r"x is \(2, 4\); a stepper of 3 rows takes \(3, 4\)"),
    "another batch, and what to do": (torch.zeros(2, 4), "batch_size says how many"),
    "a sequence": (torch.zeros(1, ROWS, 4), r"x is \(1, 3, 4\); a stepper of 3 rows takes \(3, 4\)"),
    "another dtype": (torch.zeros(ROWS, 4).double(), "dtype"),
    "a list": ([1.0], "x is a list"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_and_the_state_stays(case):
    x, sentence = REFUSED[case]
    stepper = layer_of("lstm").stepper(ROWS)
    stepper(stream()[0])
    before = stepper.state
    with pytest.raises(ShapeError, match=sentence):
        stepper(x)
    assert all(map(torch.equal, before, stepper.state))


@pytest.mark.parametrize("out", [torch.zeros(ROWS, 4), torch.zeros(5, ROWS).t(), torch.zeros(ROWS, 5).double(), 1])
def test_room_that_does_not_fit_is_refused_before_anything_is_done(out):
    stepper = layer_of("lstm").stepper(ROWS)
    before = stepper.state
    with pytest.raises(ShapeError, match=r"out is .*; it must be \(3, 5\) of torch.float32, contiguous"):
        stepper(stream()[0], out)
    assert all(map(torch.equal, before, stepper.state))


def test_both_directions_are_refused():
    with pytest.raises(UsageError, match="a stepper goes forward in time alone"):
        layer_of("lstm", bidirectional=True).stepper()
    with pytest.raises(UsageError, match="batch_size"):
        layer_of("lstm").stepper(0)


def test_compiled_code_may_step():
    stepper = layer_of("lstm").stepper(ROWS)
    expected = stepper(stream()[0])
    stepper.reset()
    assert_close(torch.compile(lambda x: stepper(x), backend="eager")(stream()[0]), expected)
