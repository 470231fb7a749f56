"""Results have a gradient where the loop's have one: what never learns may be carried from call to call for ever."""

from itertools import product

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.core.cell import building

from .test_compiled_law import Compiled
from .test_odd_cells import assert_same

D, H, B = 3, 4, 3

Loop = rnnkit.unrollers["loop"]


class Base(rnnkit.Cell):
    def __init__(self, input_size=D, hidden_size=H):
        super().__init__(input_size, hidden_size)
        self.recurrent = nn.Linear(hidden_size, hidden_size)
        self.inputs = nn.Linear(input_size, hidden_size)

    def initial_state(self, batch_size):
        return tuple(torch.zeros(batch_size, self.hidden_size) for _ in self.state_names)

    def project(self, xs):
        return self.inputs(xs)


class Traces(Base):
    """A trace that is cut off, and a state that decays by itself."""

    state_names = ("h", "trace", "decaying")

    def step(self, p, state):
        h, trace, decaying = state
        trace = 0.9 * trace + h.detach()
        h = torch.tanh(p + self.recurrent(h) + trace + decaying)
        return h, (h, trace, 0.5 * decaying)


class NoGradient(Base):
    state_names = ("h", "counted")

    def step(self, p, state):
        h, counted = state
        with torch.no_grad():
            counted = counted + (h * p).abs()
        h = torch.tanh(p + self.recurrent(h)) / (1 + counted)
        return h, (h, counted)


class Exchanges(Base):
    """Each state is another's, and one is the input's."""

    state_names = ("a", "b", "c")

    def step(self, p, state):
        a, b, c = state
        return a + c, (b * 0.5, a, p)


class Frozen(Base):
    state_names = ("h", "other")

    def __init__(self, input_size=D, hidden_size=H):
        super().__init__(input_size, hidden_size)
        self.requires_grad_(False)
        self.scale = nn.Parameter(torch.full((hidden_size,), 0.7))

    def step(self, p, state):
        h, other = state
        h = torch.tanh(p + self.recurrent(h))
        return h, (h, self.scale * other + h)


class GivesWhatIsCutOff(Base):
    def step(self, p, state):
        (h,) = state
        h = torch.tanh(p + self.recurrent(h))
        return h.detach(), (h,)


CELLS = (Traces, NoGradient, Exchanges, Frozen, GivesWhatIsCutOff)


def build(kind):
    torch.manual_seed(0)
    with building(None, torch.float64):
        return kind()


@pytest.mark.parametrize("backend", ["cpp", "torch"])
@pytest.mark.parametrize("kind", CELLS)
def test_what_has_a_gradient_has_one_in_the_loop(kind, backend):
    cell = build(kind)
    assert Compiled().backend_of(cell) == "cpp", Compiled().explain(cell)
    count = len(cell.state_names)
    masks = ({}, {"lengths": torch.tensor([9, 1, 2])}, {"reset": torch.eye(9, B, dtype=torch.bool)})
    for of_input, of_states, steps, given in product((False, True), range(count + 1), (1, 2, 3, 9), masks):
        xs = torch.randn(steps, B, D, dtype=torch.float64, requires_grad=of_input)
        state = tuple(torch.rand(B, H, dtype=torch.float64, requires_grad=k < of_states) for k in range(count))
        given = {name: mask.clamp(max=steps) if name == "lengths" else mask[:steps] for name, mask in given.items()}
        found, expected = (
            [ys, *last] for ys, last in (each(cell, xs, state, **given) for each in (Compiled(backend=backend), Loop()))
        )
        assert_same(found, expected)
        assert [one.requires_grad for one in found] == [one.requires_grad for one in expected]


def test_what_never_learns_is_carried_on():
    found = []
    for unroller in ("compiled", "loop"):
        torch.manual_seed(1)
        layer = rnnkit.RNN(Traces, D, H, unroller=unroller).double()
        state = None
        for _ in range(3):
            ys, (h, trace, decaying) = layer(torch.randn(5, B, D, dtype=torch.float64), state)
            ys.square().sum().backward()
            state = (h.detach(), trace, decaying)
            trace.numpy()
        found.append([parameter.grad for parameter in layer.parameters()])
    assert_same(*found)
