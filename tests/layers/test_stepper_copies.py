"""A copy of a stepper goes on by itself, and a stepper follows its layer to another dtype."""

import copy
import pickle

import pytest
import torch

import rnnkit
from rnnkit.errors import ShapeError

from .test_stepper import ROWS, layer_of, stream

COPIES = {
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "pickle": lambda stepper: pickle.loads(pickle.dumps(stepper)),
}


@pytest.mark.parametrize("kind", COPIES)
@pytest.mark.parametrize("unroller", ["auto", "loop"])
def test_a_copy_goes_on_by_itself_with_equal_numbers(kind, unroller):
    layer = layer_of("lstm", num_layers=2, unroller=unroller)
    stepper, xs = layer.stepper(ROWS), stream()
    stepper(xs[0])
    other = COPIES[kind](stepper)
    given = [other(x) for x in xs[1:]]
    assert all(map(torch.equal, given, [stepper(x) for x in xs[1:]]))
    assert all(map(torch.equal, other.state, stepper.state))
    assert repr(other) == repr(stepper)
    assert (other.layer is layer) is (kind == "copy")
    with torch.no_grad():
        layer.weight_hh_l0.mul_(2)
    assert torch.equal(other(xs[0]), stepper(xs[0])) is (kind == "copy")


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_may_begin_with_anything(kind):
    stepper = layer_of("lstm").stepper(ROWS)
    stepper(stream()[0])
    copied = COPIES[kind]
    assert all(map(torch.equal, copied(stepper).state, stepper.state))
    assert copied(stepper).explain() == stepper.explain()
    with pytest.raises(ShapeError, match=r"x is \(2, 4\); a stepper of 3 rows takes"):
        copied(stepper)(torch.zeros(2, 4))
    fresh = copied(stepper)
    fresh.reset([0, 2])
    assert [float(row.abs().sum()) == 0 for row in fresh.state[0][0]] == [True, False, True]


def test_a_layer_that_holds_its_stepper_is_copied():
    layer = layer_of("lstm")
    layer.live = layer.stepper(ROWS)
    expected = copy.deepcopy(layer).live(stream()[0])
    assert torch.equal(pickle.loads(pickle.dumps(layer)).live(stream()[0]), expected)
    assert torch.equal(layer.live(stream()[0]), expected)


@pytest.mark.parametrize("unroller", ["auto", "loop"])
def test_the_state_follows_the_layer_to_another_dtype(unroller):
    layer = layer_of("lstm", num_layers=2, unroller=unroller)
    stepper, xs = layer.stepper(ROWS), stream()
    stepper(xs[0])
    before = stepper.state
    layer.double()
    state = stepper.state
    assert all(tensor.dtype == torch.float64 for tensor in state)
    assert all(torch.equal(a.float(), b) for a, b in zip(state, before, strict=True))
    expected = layer(xs[1:2].double(), state)[0][0].detach()
    stepper.state = state
    torch.testing.assert_close(stepper(xs[1].double()), expected, rtol=1e-12, atol=1e-12)
    layer.to(torch.bfloat16)
    assert repr(stepper) == f"Stepper(batch_size=3, {layer.stepper(ROWS).explain()})"
    assert stepper(xs[2].bfloat16()).dtype == torch.bfloat16


class Rotating(rnnkit.Cell):
    """Has a complex state."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.read = torch.nn.Linear(input_size, hidden_size)

    def initial_state(self, batch_size):
        return (torch.zeros(batch_size, self.hidden_size, dtype=self.read.weight.dtype.to_complex()),)

    def project(self, xs):
        return self.read(xs)

    def step(self, p, state):
        h = torch.complex(torch.zeros_like(p), torch.ones_like(p)) * state[0] + p
        return h.real, (h,)


def test_a_complex_state_follows_too():
    layer = layer_of(Rotating)
    stepper = layer.stepper(ROWS)
    stepper(stream()[0])
    layer.double()
    assert stepper.state.dtype == torch.complex128
    assert stepper(stream()[1].double()).dtype == torch.float64
