"""What cells of public repositories hold and do beside their equations, which is to cost them no kernel."""

import copy
import pickle
import random

import numpy as np
import pytest
import torch
from torch import nn

import rnnkit

from .test_compiled_law import Compiled
from .test_odd_cells import assert_same

H = 6

GENERATORS = {
    "Generator": lambda: np.random.default_rng(0),
    "another Generator": lambda: np.random.Generator(np.random.MT19937(0)),
    "RandomState": lambda: np.random.RandomState(0),
    "Random": lambda: random.Random(0),
    "PCG64": lambda: np.random.PCG64(0),
}


class Wiring:
    """Which units are connected, drawn when it is made, as circuits of neurons are."""

    def __init__(self, make):
        self.generator = make()
        self.units = H

    def drawn(self):
        return self.generator.random()


class Wired(rnnkit.Cell):
    """Has the generator by which its wiring was drawn, and reads something else of it."""

    make = staticmethod(GENERATORS["Generator"])

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.recurrent = nn.Linear(hidden_size, hidden_size)
        self.wiring = Wiring(self.make)

    def step(self, x, state):
        (h,) = state
        h = torch.tanh(x + self.mixed(h))
        return h, (h,)

    def mixed(self, h):
        return self.recurrent(h)[:, : self.wiring.units]


class Drawing(Wired):
    def mixed(self, h):
        return self.recurrent(h) * self.wiring.drawn()


class DrawingByText(Wired):
    def mixed(self, h):
        return self.recurrent(h) * getattr(self.wiring.generator, "ran" + "dom")()


class DrawingByAMethod(Wired):
    """That it keeps, under a name of its own."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        generator = self.wiring.generator
        self.next_number = generator.random

    def mixed(self, h):
        return self.recurrent(h) * self.next_number()


class DrawingInVain(Wired):
    """What it draws is for nothing, but for whoever draws next."""

    def mixed(self, h):
        self.wiring.drawn()
        return self.recurrent(h)


class DrawingInProject(Wired):
    def project(self, xs):
        return xs * self.wiring.drawn()


class Literal(Wired):
    """Makes tensors of literals, beside code that would print its parameters."""

    def __repr__(self):
        return f"Literal({self.recurrent!r})"

    def mixed(self, h):
        if not self.name:
            print(repr(self))
        return self.recurrent(h) * torch.tensor([0.5] * H, dtype=h.dtype)


def build(kind):
    torch.manual_seed(0)
    return rnnkit.RNN(kind, H, H, unroller="loop").double()


def outcome(layer, unroller):
    layer.unroller = unroller
    xs = torch.linspace(-1, 1, 5 * 3 * H, dtype=torch.float64).view(5, 3, H).requires_grad_()
    ys, h = layer(xs)
    grads = torch.autograd.grad(ys.square().sum() + h.sum(), [xs, *layer.parameters()])
    with torch.no_grad():
        streamed = layer(xs[:1])[0]
    return [ys, h, *grads, streamed]


@pytest.mark.parametrize("name", GENERATORS)
def test_a_generator_that_the_step_does_not_draw_from_is_no_obstacle(name, recorded):
    layer = build(type("Of", (Wired,), {"make": staticmethod(GENERATORS[name])}))
    assert Compiled().backend_of(layer.cells[0]) == "cpp"
    for _ in range(4):
        assert_same(outcome(layer, "compiled"), outcome(layer, "loop"))
        drawn_from = layer.cells[0].wiring.generator  # by somebody else, between calls
        drawn_from.random_raw() if name == "PCG64" else drawn_from.random()
    assert len(recorded) <= 3  # with gradients and without, and asked for its backend
    layer.cells[0].wiring.units = 1
    assert_same(outcome(layer, "compiled"), outcome(layer, "loop"))


@pytest.mark.parametrize("way", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_layers_with_a_generator_are_copied(way):
    layer = build(Wired)
    for _ in range(3):
        assert_same(outcome(layer, "compiled"), outcome(layer, "loop"))
        layer = way(layer)


@pytest.mark.parametrize("kind", [Drawing, DrawingByText, DrawingByAMethod, DrawingInVain, DrawingInProject])
@pytest.mark.parametrize("name", ["Generator", "another Generator", "RandomState", "Random"])
def test_steps_that_draw_from_one_are_the_loops_and_draw_as_often(kind, name, recorded):
    kind = type(kind.__name__, (kind,), {"make": staticmethod(GENERATORS[name])})
    first, second = build(kind), build(kind)
    # what project() draws, it draws itself
    assert Compiled().backend_of(first.cells[0]) == ("cpp" if issubclass(kind, DrawingInProject) else "loop")
    for _ in range(5):
        assert_same(outcome(first, "compiled"), outcome(second, "loop"))
    assert first.cells[0].wiring.drawn() == second.cells[0].wiring.drawn()
    assert len(recorded) <= 3


def test_literals_beside_code_that_prints():
    layer = build(Literal)
    assert Compiled().backend_of(layer.cells[0]) == "cpp"
    assert_same(outcome(layer, "compiled"), outcome(layer, "loop"))


def test_what_cannot_be_compared_any_more_is_the_loops():
    layer = build(Wired)
    for _ in range(3):
        assert_same(outcome(layer, "compiled"), outcome(layer, "loop"))
    layer.cells[0].wiring.others = iter([1])
    assert_same(outcome(layer, "compiled"), outcome(layer, "loop"))
    assert "whose changes are not seen" in Compiled().explain(layer.cells[0])
